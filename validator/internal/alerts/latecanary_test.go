package alerts

import (
	"testing"
	"time"

	"datawatch/pkg/control"
	"datawatch/validator/internal/alerts/life"
)

// TestALateCanaryThatWasToldIsNotOverForTheNextKeeper: one that has just begun tells of none at first, as the validator may only
// have been stopped with the keeper before; what that one told stays told.
func TestALateCanaryThatWasToldIsNotOverForTheNextKeeper(t *testing.T) {
	now := time.Date(2026, 11, 22, 7, 30, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		told   bool
		runs   time.Duration // how long the keeper has
		canary time.Duration // how old the oldest is
		stands bool
	}{
		"told before, still late":   {true, time.Second, 10 * time.Minute, true},
		"told before, there again":  {true, time.Second, 10 * time.Second, false},
		"not told, just begun":      {false, time.Second, 10 * time.Minute, false},
		"not told, late for longer": {false, 3 * time.Minute, 10 * time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := desk("en", now)
			s.signs.after, s.signs.opened = 2*time.Minute, now.Add(-c.runs)
			s.signs.known.Canaries = control.Canaries{0: now, 1: now.Add(-c.canary)}
			s.signs.known.Gaps = map[string]*gaps{}
			if c.told {
				s.board = life.NewBoard(s.keeper.options.Times, map[string]*life.Card{
					canaryID: {Version: 2, Own: true, Phase: life.Open, Rows: true, Sent: true, Opened: now.Add(-9 * time.Minute), Since: now.Add(-10 * time.Minute)},
				})
			}
			if stands := s.findTroubles(now)[canaryID] != nil; stands != c.stands {
				t.Errorf("it stands: %v", stands)
			}
		})
	}
}
