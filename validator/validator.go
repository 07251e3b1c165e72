// Package validator is the service that says what is wrong with the data: clean events in, violations and wrong rows out,
// and one living Telegram message a group of violations.
//
// Every event is judged by the schema file of its stream, in transactions that carry violations, wrong rows and offsets
// together. Several validators share the partitions; one of them at a time keeps the alerts, and another takes over when
// it leaves. It refuses to guess: a stream without a schema is counted, not alerted; a schema file that is wrong changes
// nothing, and people are told of it.
package validator

import (
	"maps"
	"slices"
	"strings"
	"time"

	"datawatch/pkg/config"
	"datawatch/validator/internal/alerts/life"
)

// Config is what the service reads of datawatch.yaml.
type Config struct {
	config.Shared `yaml:",inline"`
	Validator     Section `yaml:"validator"`
}

// Section is the part of the file that is the validator's alone.
type Section struct {
	// Listen is where /metrics, /healthz and /readyz are served.
	Listen string `yaml:"listen"`
	// Schemas is the folder of schema files.
	Schemas string `yaml:"schemas"`
	// Alerts are the times by which alerts live.
	Alerts Alerts `yaml:"alerts"`
}

// Alerts are the times by which alerts live.
type Alerts struct {
	// EditEvery is how often a message is edited at most.
	EditEvery config.Duration `yaml:"edit_every"`
	// QuietAfter is how long no new error makes an alert quiet, at least: three times its usual gap, where that is longer.
	QuietAfter config.Duration `yaml:"quiet_after"`
	// OverAfter is how long an alert that no row stands for is quiet before it is over, if OverValid events were valid since.
	OverAfter config.Duration `yaml:"over_after"`
	OverValid int64           `yaml:"over_valid"`
	// BackWithin is how long after its end an alert is the same one, that is back.
	BackWithin config.Duration `yaml:"back_within"`
	// Flaps openings within FlapsWithin are told once, and again after HoldFlapping.
	Flaps        int             `yaml:"flaps"`
	FlapsWithin  config.Duration `yaml:"flaps_within"`
	HoldFlapping config.Duration `yaml:"hold_flapping"`
	// RemindAfter is when people are reminded first of what nobody has acknowledged; then it takes four times as long.
	RemindAfter config.Duration `yaml:"remind_after"`
	// Burst is how many new alerts within BurstWithin stand alone; more are one message.
	Burst       int             `yaml:"burst"`
	BurstWithin config.Duration `yaml:"burst_within"`
	// SoundMost messages with sound within SoundWithin come to a chat at most.
	SoundMost   int             `yaml:"sound_most"`
	SoundWithin config.Duration `yaml:"sound_within"`
}

func defaultAlerts() Alerts {
	t := life.DefaultTimes()
	return Alerts{
		EditEvery: config.Duration(30 * time.Second), QuietAfter: config.Duration(t.QuietAfter), OverAfter: config.Duration(t.OverAfter), OverValid: t.OverValid,
		BackWithin: config.Duration(t.BackWithin), Flaps: t.Flaps, FlapsWithin: config.Duration(t.FlapsWithin), HoldFlapping: config.Duration(t.HoldFlapping),
		RemindAfter: config.Duration(t.RemindAfter), Burst: t.Burst, BurstWithin: config.Duration(t.BurstWithin), SoundMost: t.SoundMost,
		SoundWithin: config.Duration(t.SoundWithin),
	}
}

// times are these where they are set, and the defaults elsewhere.
func (a *Alerts) times() life.Times {
	t := life.DefaultTimes()
	for set, d := range map[*time.Duration]config.Duration{
		&t.QuietAfter: a.QuietAfter, &t.OverAfter: a.OverAfter, &t.BackWithin: a.BackWithin, &t.FlapsWithin: a.FlapsWithin,
		&t.HoldFlapping: a.HoldFlapping, &t.RemindAfter: a.RemindAfter, &t.BurstWithin: a.BurstWithin, &t.SoundWithin: a.SoundWithin,
	} {
		if d > 0 {
			*set = d.Std()
		}
	}
	for set, n := range map[*int]int{&t.Flaps: a.Flaps, &t.Burst: a.Burst, &t.SoundMost: a.SoundMost} {
		if n > 0 {
			*set = n
		}
	}
	if a.OverValid > 0 {
		t.OverValid = a.OverValid
	}
	return t
}

// Validate checks that every time is one.
func (a *Alerts) Validate(p *config.Problems) {
	times := map[string]config.Duration{
		"edit_every": a.EditEvery, "quiet_after": a.QuietAfter, "over_after": a.OverAfter, "back_within": a.BackWithin, "flaps_within": a.FlapsWithin,
		"hold_flapping": a.HoldFlapping, "remind_after": a.RemindAfter, "burst_within": a.BurstWithin, "sound_within": a.SoundWithin,
	}
	for _, key := range slices.Sorted(maps.Keys(times)) {
		if times[key] <= 0 {
			p.Add(key, "too short", "a time, as in 30s, 15m or 7d")
		}
	}
	counts := map[string]int64{"flaps": int64(a.Flaps) - 1, "over_valid": a.OverValid, "burst": int64(a.Burst), "sound_most": int64(a.SoundMost) - 1}
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		if counts[key] < 1 {
			p.Add(key, "too few", "flaps and sound_most are 2 or more, over_valid and burst 1 or more")
		}
	}
}

// DefaultConfig is what stands where the file says nothing.
func DefaultConfig() Config {
	return Config{Shared: config.DefaultShared(), Validator: Section{Listen: "127.0.0.1:9103", Schemas: "./schemas", Alerts: defaultAlerts()}}
}

// Validate checks that there is an address and a folder.
func (s *Section) Validate(p *config.Problems) {
	if !strings.Contains(s.Listen, ":") {
		p.Add("listen", "not an address", "host:port, as in 127.0.0.1:9103")
	}
	if s.Schemas == "" {
		p.Add("schemas", "missing", "the folder of schema files, as in ./schemas")
	}
}
