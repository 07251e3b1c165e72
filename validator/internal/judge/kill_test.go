package judge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"testing"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/validator/internal/judge"
	"datawatch/validator/internal/schemas"
)

// childEnv makes the test program a judge that is there to be killed.
const childEnv = "DATAWATCH_TEST_JUDGE"

// child is what such a judge works with.
type child struct {
	Broker  config.Broker
	Schemas string
}

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		fmt.Fprintln(os.Stderr, runChild(text))
		os.Exit(1)
	}
	testrig.Main(m)
}

func runChild(text string) error {
	var c child
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	set, err := schemas.Load(c.Schemas)
	if err != nil {
		return err
	}
	return judge.New(judge.Options{
		Broker: c.Broker, Schemas: func() *schemas.Set { return set }, Metrics: prometheus.NewRegistry(),
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}).Run(context.Background())
}

// spawn starts a judge as a process; kill ends it with SIGKILL.
func (w *world) spawn() (kill func()) {
	w.t.Helper()
	text, err := json.Marshal(child{Broker: w.config, Schemas: w.dir})
	if err != nil {
		w.t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	command := exec.Command(program)
	command.Env = append(os.Environ(), childEnv+"="+string(text))
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		w.t.Fatal(err)
	}
	dead := false
	kill = func() {
		if !dead {
			dead = true
			_ = command.Process.Kill() // it may have ended by itself, which the test notices by what is missing
			_ = command.Wait()
		}
	}
	w.t.Cleanup(kill)
	return kill
}

// TestKilledJudgeLosesAndDoublesNothing kills one of two judges with SIGKILL while events keep coming. On Kafka only: the
// embedded broker waits for ever for a member that died while it joined.
func TestKilledJudgeLosesAndDoublesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as the group needs to notice a death, twice")
	}
	w := newWorld(t, testrig.Kafka(t))
	kills := []func(){w.spawn(), w.spawn()}
	const rounds, each = 20, 50
	n, wrong, judged := 0, 0, 0 // judged: wrong ones before the round
	for round := range rounds {
		var events []*event.Clean
		for range each {
			n++
			total := 1
			if n%3 == 0 {
				total, wrong = -1, wrong+1
			}
			events = append(events, change(n, n%41, event.Insert, "", fmt.Sprintf(`{"total": %d}`, total)))
		}
		kill := round == 5 || round == 12
		if kill { // in the midst of work
			w.eachOnce(judged)
		}
		w.publish(events...)
		judged = wrong
		if kill {
			kills[round%2]()
			kills[round%2] = w.spawn()
		}
	}
	w.eachOnce(wrong)
	w.tallied(int64(n-wrong), int64(wrong), 0)
	w.settled()
	// Of each row, what stands is what its newest event says.
	want := map[string]bool{}
	for i := 1; i <= n; i++ {
		if key := wrongKey(i%41, "not-negative"); i%3 == 0 {
			want[key] = true
		} else {
			delete(want, key)
		}
	}
	w.eventually(func() error {
		got, err := w.standing()
		if err == nil && fmt.Sprint(got) != fmt.Sprint(want) {
			err = fmt.Errorf("standing: %v, want %v", got, want)
		}
		return err
	})
}

// settled waits until the group's offsets are behind every event, and then finds that none was judged beside them.
func (w *world) settled() {
	w.t.Helper()
	s, err := broker.ClientConfig(w.config.Cluster, "test")
	if err != nil {
		w.t.Fatal(err)
	}
	admin, err := sarama.NewClusterAdmin(w.config.Addresses, s)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	partitions, err := w.scanner.Partitions(w.topics.Clean)
	if err != nil {
		w.t.Fatal(err)
	}
	w.eventually(func() error {
		offsets, err := admin.ListConsumerGroupOffsets(w.config.TopicPrefix+"-validator", map[string][]int32{w.topics.Clean: partitions})
		if err != nil {
			return err
		}
		for _, p := range partitions {
			newest := int64(-1)
			end, err := w.scanner.End(w.topics.Clean, p)
			if err != nil {
				return err
			}
			if err := w.scanner.Scan(w.t.Context(), w.topics.Clean, p, 0, end, func(r broker.Record) error { newest = r.Offset; return nil }); err != nil {
				return err
			}
			if block := offsets.GetBlock(w.topics.Clean, p); block == nil || newest >= 0 && block.Offset != newest+1 {
				return fmt.Errorf("partition %d: committed %+v, the newest event is %d", p, block, newest)
			}
		}
		return nil
	})
}
