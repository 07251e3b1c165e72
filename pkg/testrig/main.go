package testrig

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"datawatch/pkg/broker/embedded"
	"datawatch/pkg/testrig/postgres"
)

// Main runs the tests, stops the servers that they shared, and ends the process.
// Call it from TestMain.
func Main(m *testing.M) {
	embedded.MainIfChild()
	postgres.MainIfChild()
	code := m.Run()
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, "testrig:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// shared is a server that all tests of the process use: started once, by the test
// that needs it first.
type shared[S any] struct {
	once   sync.Once
	server S
	err    error
}

func (s *shared[S]) get(start func(context.Context) (S, error)) (S, error) {
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), obtainTimeout)
		defer cancel()
		s.server, s.err = start(ctx)
	})
	return s.server, s.err
}

// obtainTimeout covers fetching, which happens once for a machine.
const obtainTimeout = 5 * time.Minute

// stops are the shared servers' ends.
var stops struct {
	sync.Mutex
	list []func(context.Context) error
}

func stopAtEnd(stop func(context.Context) error) {
	stops.Lock()
	defer stops.Unlock()
	stops.list = append(stops.list, stop)
}

func stopShared() error {
	stops.Lock()
	defer stops.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var (
		wg     sync.WaitGroup
		failed = make([]error, len(stops.list))
	)
	for i, stop := range stops.list {
		wg.Go(func() { failed[i] = stop(ctx) })
	}
	wg.Wait()
	stops.list = nil
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}
