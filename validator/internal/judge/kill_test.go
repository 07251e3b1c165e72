package judge_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/validator/internal/judge"
	"datawatch/validator/internal/schemas"
)

// child is what such a judge works with.
type child struct {
	Broker  config.Broker
	Schemas string
}

func TestMain(m *testing.M) {
	testrig.MainIfChild(runChild)
	testrig.Main(m)
}

func runChild(c child) error {
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
	return testrig.Spawn(w.t, child{Broker: w.config, Schemas: w.dir})
}

// TestKilledJudgeLosesAndDoublesNothing kills, for as long as the soak lasts, one of two judges with SIGKILL at moments at
// random while events keep coming. On Kafka only: the embedded broker waits for ever for a member that died while it joined.
func TestKilledJudgeLosesAndDoublesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as the group needs to notice a death, twice")
	}
	w := newWorld(t, testrig.Kafka(t))
	kills := []func(){w.spawn(), w.spawn()}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	n, wrong, deaths := 0, 0, 0
	w.publish(w.load(&n, &wrong, 50)...)
	w.eachOnce(wrong) // they are at work
	for end := time.Now().Add(testrig.Soak()); time.Now().Before(end) || deaths < 2; {
		w.publish(w.load(&n, &wrong, 1+random.IntN(100))...)
		if random.IntN(10) == 0 || time.Now().After(end) {
			victim := random.IntN(2)
			kills[victim]()
			deaths++
			kills[victim] = w.spawn()
		}
	}
	t.Logf("seed %d: %d events, %d wrong, %d deaths", seed, n, wrong, deaths)
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

// load are the next so many events, of 41 rows; of every third the total is wrong.
func (w *world) load(n, wrong *int, each int) []*event.Clean {
	var events []*event.Clean
	for range each {
		*n++
		total := 1
		if *n%3 == 0 {
			total = -1
			*wrong++
		}
		events = append(events, change(*n, *n%41, event.Insert, "", fmt.Sprintf(`{"total": %d}`, total)))
	}
	return events
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
