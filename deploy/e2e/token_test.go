package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datawatch/deploy/program"
	"datawatch/deploy/telegramsim"
	"datawatch/pkg/testrig"
)

// TestTokenIsInNothingThatServicesPrint: neither in logs, at their most talkative, nor in what they serve, while Telegram
// fails in every way that it can be told to.
func TestTokenIsInNothingThatServicesPrint(t *testing.T) {
	w := newWorld(t, testrig.Embedded(t), telegramsim.Limits{})
	calls := func() (n int) {
		for _, count := range w.sim.Stats().Calls {
			n += count
		}
		return n
	}
	began := false
	for _, kind := range []telegramsim.FaultKind{
		telegramsim.BadGateway, telegramsim.InternalError, telegramsim.Cut, telegramsim.AnswerLost, telegramsim.TokenRevoked, telegramsim.TooManyRequests,
	} {
		w.sim.Behave()
		if err := w.sim.Misbehave(telegramsim.Fault{Kind: kind, RetryAfter: 1}); err != nil {
			t.Fatal(err)
		}
		if !began {
			w.start()
			began = true
		}
		before := calls()
		w.types(feedChat, "/help")
		testrig.Eventually(t, time.Minute, func() error {
			if n := calls() - before; n < 2 {
				return fmt.Errorf("%s: %d calls", kind, n)
			}
			return nil
		})
	}
	_, secret, _ := strings.Cut(w.Token, ":")
	failed := false
	for _, name := range program.Services {
		printed, err := os.ReadFile(filepath.Join(w.folder, name+".log"))
		if err != nil {
			t.Fatal(err)
		}
		failed = failed || strings.Contains(string(printed), "telegram")
		shown := string(printed)
		for _, page := range []string{"/metrics", "/healthz", "/readyz"} {
			text, err := w.get(name, page)
			if err != nil {
				t.Fatal(err)
			}
			shown += text
		}
		if i := strings.Index(shown, secret); i >= 0 {
			t.Errorf("%s shows the token: …%s…", name, strings.ReplaceAll(shown[max(0, i-200):min(len(shown), i+len(secret)+50)], secret, "TOKEN"))
		}
	}
	if !failed {
		t.Error("no service said that Telegram failed: the test tests nothing")
	}
}
