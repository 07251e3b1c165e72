package alerts_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
	"datawatch/pkg/testrig"
	"datawatch/validator/internal/alerts"
)

// child is what such a keeper works with.
type child struct {
	Broker   config.Broker
	Telegram string // the address of the Bot API
}

func TestMain(m *testing.M) {
	testrig.MainIfChild(runChild)
	testrig.Main(m)
}

func runChild(c child) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	speak := config.DefaultShared().Telegram
	speak.Token, speak.APIURL, speak.Alerts = "1:x", c.Telegram, config.Chat{ID: alerting}
	bot, err := telegram.New(telegram.Options{Config: speak, Service: "validator", Log: log, Metrics: prometheus.NewRegistry()})
	if err != nil {
		return err
	}
	return alerts.New(alerts.Options{
		Broker: c.Broker, Telegram: speak, Messenger: bot, Log: log, Metrics: prometheus.NewRegistry(), EditEvery: time.Second, LookEvery: 100 * time.Millisecond,
	}).Run(context.Background())
}

// spawn starts a keeper as a process; kill ends it with SIGKILL.
func (w *world) spawn(a *api) (kill func()) {
	w.t.Helper()
	return testrig.Spawn(w.t, child{Broker: w.shared.Broker, Telegram: a.server.URL})
}

// takeover is how long it may take until another keeper goes on where one was killed, and people read it: twice what is
// promised, for tests share their machine.
const takeover = 2 * 15 * time.Second

// TestKilledKeeperLosesNoAlertAndCountsNothingTwice kills keepers with SIGKILL at random moments while violations keep
// coming, and another goes on. On Kafka only: the embedded broker waits for ever for a member that died while it joined.
func TestKilledKeeperLosesNoAlertAndCountsNothingTwice(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as the group needs to notice a death, twice")
	}
	a := newAPI(t)
	w := newWorld(t, testrig.Kafka(t), a)
	kills := []func(){w.spawn(a)}
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	const rounds, deaths = 24, 2
	counts := map[string]int{"alpha": 1}
	w.publish(true, violation(1, "alpha", event.Critical))
	w.reads(a, "fp-alpha")
	kills = append(kills, w.spawn(a)) // it stands by
	for round := range rounds {
		var all []*event.Violation
		for i := range 40 {
			rule := []string{"alpha", "beta", "gamma"}[i%3]
			if round > rounds/2 && i%10 == 0 {
				rule = "late"
			}
			counts[rule]++
			all = append(all, violation(counts[rule], rule, event.Critical))
		}
		w.publish(true, all...)
		if round == rounds/4 || round == rounds*3/4 {
			w.reads(a, "fp-alpha")
			time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond) // a moment at random is what is tested
			n := round / (rounds/2 + 1) % 2                                // one of the two keeps, the other stands by
			kills[n]()
			killed := time.Now()
			counts["alpha"]++
			w.publish(true, violation(counts["alpha"], "alpha", event.Critical))
			w.reads(a, "fp-alpha", fmt.Sprintf("<b>%d</b> ", counts["alpha"]))
			if took := time.Since(killed); took > takeover {
				t.Errorf("another keeper went on after %s", took)
			} else {
				t.Logf("another keeper went on after %s", took)
			}
			kills[n] = w.spawn(a)
		}
	}
	for rule, n := range counts {
		w.reads(a, "fp-"+rule, fmt.Sprintf("<b>%d</b> ", n), fmt.Sprintf("<b>%d rows wrong now</b>", n))
	}
	messages, _ := a.sent()
	for rule := range counts {
		told := 0
		for _, m := range messages {
			if strings.Contains(m.text, "fp-"+rule+"</i>") {
				told++
			}
		}
		if told > 1+deaths {
			t.Errorf("%s was told %d times", rule, told)
		}
	}
}
