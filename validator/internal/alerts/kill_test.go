package alerts_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
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

// keepers are keepers as processes, by what they are called in their group.
type keepers struct {
	w     *world
	api   *api
	admin sarama.ClusterAdmin
	kills map[string]func()
}

func newKeepers(w *world, a *api) *keepers {
	w.t.Helper()
	admin, err := sarama.NewClusterAdmin(w.shared.Broker.Addresses, sarama.NewConfig())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = admin.Close() })
	return &keepers{w: w, api: a, admin: admin, kills: map[string]func(){}}
}

// join starts one more, and waits until it is of the group.
func (k *keepers) join() {
	k.w.t.Helper()
	kill := k.w.spawn(k.api)
	testrig.Eventually(k.w.t, time.Minute, func() error {
		members, err := k.members()
		if err != nil || len(members) != len(k.kills)+1 {
			return fmt.Errorf("the group has %d members: %w", len(members), err)
		}
		for id := range members {
			if k.kills[id] == nil {
				k.kills[id] = kill
			}
		}
		return nil
	})
}

// kill ends whichever keeps.
func (k *keepers) kill() {
	k.w.t.Helper()
	testrig.Eventually(k.w.t, time.Minute, func() error {
		members, err := k.members()
		for id, keeps := range members {
			if kill := k.kills[id]; keeps && kill != nil {
				kill()
				delete(k.kills, id)
				return nil
			}
		}
		return fmt.Errorf("none of %d members keeps: %w", len(members), err)
	})
}

// members tells who is of the group, and of each whether it keeps.
func (k *keepers) members() (map[string]bool, error) {
	groups, err := k.admin.DescribeConsumerGroups([]string{k.w.shared.Broker.TopicPrefix + "-alerts"})
	if err != nil {
		return nil, err
	}
	if groups[0].State != "Stable" {
		return nil, fmt.Errorf("the group is %s", groups[0].State)
	}
	members := map[string]bool{}
	for id, m := range groups[0].Members {
		assignment, err := m.GetMemberAssignment()
		if err != nil {
			return nil, err
		}
		members[id] = assignment != nil && len(assignment.Topics) > 0
	}
	return members, nil
}

// takeover is how long it takes at most until another keeper goes on where one was killed, and people read it.
const takeover = 15 * time.Second

// TestKilledKeeperLosesNoAlertAndCountsNothingTwice kills the keeper with SIGKILL at random moments while violations keep
// coming, and another goes on. On Kafka only: the embedded broker waits for ever for a member that died while it joined.
func TestKilledKeeperLosesNoAlertAndCountsNothingTwice(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as the group needs to notice a death, twice")
	}
	a := newAPI(t)
	w := newWorld(t, testrig.Kafka(t), a)
	keepers := newKeepers(w, a)
	keepers.join()
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	const rounds = 24
	counts := map[string]int{"alpha": 1}
	w.publish(true, violation(1, "alpha", event.Critical))
	w.reads(a, "fp-alpha")
	keepers.join() // it stands by
	var took []time.Duration
	die := func() {
		w.reads(a, "fp-alpha")
		time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond) // a moment at random is what is tested
		keepers.kill()
		killed := time.Now()
		counts["alpha"]++
		w.publish(true, violation(counts["alpha"], "alpha", event.Critical))
		w.reads(a, "fp-alpha", fmt.Sprintf("<b>%d</b> ", counts["alpha"]))
		took = append(took, time.Since(killed))
		keepers.join()
	}
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
			die()
		}
	}
	// Tests share their machine: each may have had to wait for it.
	if slices.Min(took) > takeover {
		die()
	}
	t.Logf("others went on after %s", took)
	if slices.Min(took) > takeover || slices.Max(took) > 4*takeover {
		t.Errorf("others went on after %s", took)
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
		if told > 1+len(took) {
			t.Errorf("%s was told %d times", rule, told)
		}
	}
}
