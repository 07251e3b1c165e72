package broker_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/testrig"
)

// seated is a member that writes down its share.
type seated struct {
	mu    sync.Mutex
	share string
	stop  func()
}

func (s *seated) set(share string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.share = share
}

func (s *seated) get() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.share
}

// sit takes a seat under a name; each member's share is the names of all, and which of them it is.
func sit(t *testing.T, c config.Broker, name string) *seated {
	t.Helper()
	return sitSharing(t, c, name, func(members map[string][]byte) map[string][]byte {
		var names []string
		for _, m := range members {
			names = append(names, string(m))
		}
		slices.Sort(names)
		shares := maps.Clone(members)
		for id, name := range members {
			shares[id] = fmt.Appendf(nil, "%s of %s", name, strings.Join(names, ","))
		}
		return shares
	})
}

// sitSharing takes a seat in a group that shares so.
func sitSharing(t *testing.T, c config.Broker, name string, share func(members map[string][]byte) map[string][]byte) *seated {
	t.Helper()
	s := &seated{share: "none yet"}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	m := broker.Member{
		Broker: c, Name: "test", Group: c.TopicPrefix + "-members",
		Describe: func() []byte { return []byte(name) },
		Share:    share,
		Assigned: func(share []byte) { s.set(string(share)) },
		Lost:     func(error) { s.set("lost") },
	}
	go func() { ended <- m.Run(ctx) }()
	var once sync.Once
	s.stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-ended:
				if !errors.Is(err, context.Canceled) {
					t.Errorf("Run returned %v", err)
				}
			case <-time.After(time.Minute):
				t.Error("Run doesn't end")
			}
		})
	}
	t.Cleanup(s.stop)
	return s
}

func awaitShares(t *testing.T, want map[*seated]string) {
	t.Helper()
	testrig.Eventually(t, time.Minute, func() error {
		for s, share := range want {
			if got := s.get(); got != share {
				return fmt.Errorf("share %q, not %q", got, share)
			}
		}
		return nil
	})
}

// TestMemberWithNothingToDoHoldsUpNobody: there may be more members than things to do.
func TestMemberWithNothingToDoHoldsUpNobody(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c := config.DefaultShared().Broker
		c.Addresses, c.TopicPrefix = strings.Split(addr, ","), testrig.Prefix(t)
		toOne := func(members map[string][]byte) map[string][]byte {
			for id, name := range members {
				if string(name) == "a" {
					return map[string][]byte{id: []byte("all")}
				}
			}
			return nil
		}
		idle, busy := sitSharing(t, c, "b", toOne), sitSharing(t, c, "a", toOne)
		awaitShares(t, map[*seated]string{busy: "all", idle: ""})
		busy.stop()
		awaitShares(t, map[*seated]string{busy: "lost", idle: ""})
	})
}

func TestMembersShareAndWhoLeavesIsMissedAtOnce(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c := config.DefaultShared().Broker
		c.Addresses, c.TopicPrefix = strings.Split(addr, ","), testrig.Prefix(t)
		a, b := sit(t, c, "a"), sit(t, c, "b")
		awaitShares(t, map[*seated]string{a: "a of a,b", b: "b of a,b"})
		testrig.Promptly(t, broker.SessionTimeout-time.Second, func() time.Duration {
			d := sit(t, c, "d")
			awaitShares(t, map[*seated]string{a: "a of a,b,d", b: "b of a,b,d", d: "d of a,b,d"})
			d.stop()
			if d.get() != "lost" {
				t.Errorf("a member that left has the share %q", d.get())
			}
			left := time.Now()
			awaitShares(t, map[*seated]string{a: "a of a,b", b: "b of a,b"})
			return time.Since(left)
		})
	})
}

func TestMemberWithoutItsBrokerLosesItsShareAndGetsItBack(t *testing.T) {
	server := testrig.KafkaServer(t)
	c := config.DefaultShared().Broker
	c.Addresses, c.TopicPrefix = []string{server.Addr()}, testrig.Prefix(t)
	a := sit(t, c, "a")
	awaitShares(t, map[*seated]string{a: "a of a"})
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	awaitShares(t, map[*seated]string{a: "lost"})
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitShares(t, map[*seated]string{a: "a of a"})
}
