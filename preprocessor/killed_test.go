package preprocessor_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"golang.org/x/sync/errgroup"

	"datawatch/pkg/broker"
	"datawatch/pkg/testrig"

	"datawatch/preprocessor"
)

// mostWait is how long anybody waits for a transaction that a killed instance has left open.
const mostWait = 10 * time.Second

// settle waits until a topic's readers may read all that lies in it now, in every partition.
func settle(ctx context.Context, c preprocessor.Config, topic string) error {
	s, err := broker.NewScanner(c.Broker, "test")
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	partitions, err := s.Partitions(topic)
	if err != nil {
		return err
	}
	all, ctx := errgroup.WithContext(ctx)
	for _, p := range partitions {
		all.Go(func() error { _, err := s.Settled(ctx, topic, p); return err })
	}
	return all.Wait()
}

// pauseWithin pauses a process at a moment when it has a transaction open, and gives the moment.
func pauseWithin(t *testing.T, c preprocessor.Config, topic string, cmd *exec.Cmd) (silent time.Time) {
	t.Helper()
	testrig.Eventually(t, 40*time.Second, func() error {
		silent = time.Now()
		if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := settle(ctx, c, topic)
		if errors.Is(err, context.DeadlineExceeded) { // what others have open ends sooner
			return nil
		}
		if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		return errors.Join(errors.New("no transaction was open"), err)
	})
	return silent
}

// awaitMembers waits until the group's work is shared by n members.
func awaitMembers(t *testing.T, c preprocessor.Config, n int) {
	t.Helper()
	s, err := broker.ClientConfig(c.Broker.Cluster, "test")
	if err != nil {
		t.Fatal(err)
	}
	admin, err := sarama.NewClusterAdmin(c.Broker.Addresses, s)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	testrig.Eventually(t, 40*time.Second, func() error {
		groups, err := admin.DescribeConsumerGroups([]string{broker.GroupsOf(c.Broker.TopicPrefix).Preprocessor})
		if err != nil {
			return err
		}
		if g := groups[0]; g.State != "Stable" || len(g.Members) != n {
			return fmt.Errorf("the group is %s, of %d members", g.State, len(g.Members))
		}
		return nil
	})
}

// For as long as the dial says, one of two processes is killed within a transaction.
func TestNobodyWaitsLongForAKilledProcessesTransaction(t *testing.T) {
	c, topics := settings(t, testrig.Kafka(t))
	l := startLoad(t, c, topics)
	processes := []*exec.Cmd{startProcess(t, c), startProcess(t, c)}
	await(t, c, topics.Clean, 200)
	var waits []time.Duration
	end := time.Now().Add(testrig.Soak())
	// Tests share their machine: each of the first waits may have been one for it.
	for time.Now().Before(end) || len(waits) == 0 || len(waits) < 3 && slices.Min(waits) > mostWait {
		awaitMembers(t, c, len(processes))
		victim := len(waits) % len(processes)
		silent := pauseWithin(t, c, topics.Clean, processes[victim])
		kill(processes[victim])
		if err := settle(t.Context(), c, topics.Clean); err != nil {
			t.Fatal(err)
		}
		waits = append(waits, time.Since(silent).Round(100*time.Millisecond))
		processes[victim] = startProcess(t, c)
	}
	l.stop()
	assertOnce(t, c, topics, <-l.sent)
	t.Logf("after %d kills readers waited for %v", len(waits), waits)
	if slices.Min(waits) > mostWait || slices.Max(waits) > 4*mostWait {
		t.Errorf("readers waited for %v", waits)
	}
}
