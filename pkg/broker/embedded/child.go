package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// childEnv carries the orders of a parent to the process that it started.
const childEnv = "DATAWATCH_EMBEDDED_BROKER"

// orders are what a parent wants of its child.
type orders struct {
	DataDir          string `json:"dataDir"`
	Listen           string `json:"listen"`
	AutoCreateTopics bool   `json:"autoCreateTopics"`
}

// notice is the one line that a child writes to its standard output: that it
// listens, or why it never will.
type notice struct {
	Addr  string `json:"addr,omitempty"`
	Error string `json:"error,omitempty"`
	InUse bool   `json:"inUse,omitempty"`
}

// MainIfChild runs the broker and ends the process, if this process was started
// by [Start]; else it does nothing. A program that uses Start calls it first
// thing in main, and a test in TestMain.
func MainIfChild() {
	text, isChild := os.LookupEnv(childEnv)
	if !isChild {
		return
	}
	os.Exit(childMain(text))
}

func childMain(text string) int {
	// A parent that was killed closes its ends of our pipes. Writing to one must
	// not end the broker before it has saved what it knows.
	signal.Ignore(syscall.SIGPIPE)
	// Ctrl-C in a terminal, and its hangup, reach every process of the group. The
	// broker goes last: when its parent says so, or is gone.
	signal.Ignore(os.Interrupt, syscall.SIGHUP)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		// Nothing is ever written to it: it ends when the parent closes it or dies.
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()

	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	if err := serveOrders(ctx, text, log); err != nil {
		log.Error(err.Error())
		return 1
	}
	return 0
}

func serveOrders(ctx context.Context, text string, log *slog.Logger) error {
	var o orders
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return fmt.Errorf("read %s: %w", childEnv, err)
	}
	ready := false
	err := Serve(ctx, Options{
		DataDir:          o.DataDir,
		Listen:           o.Listen,
		AutoCreateTopics: o.AutoCreateTopics,
		Log:              log,
		Ready: func(addr string) {
			ready = true
			tell(notice{Addr: addr})
		},
	})
	if err != nil && !ready {
		tell(notice{Error: err.Error(), InUse: errors.Is(err, ErrInUse)})
		return nil // the parent says it
	}
	return err
}

func tell(n notice) {
	// Whoever was to read it may be gone; then standard input has ended too.
	_ = json.NewEncoder(os.Stdout).Encode(n)
}
