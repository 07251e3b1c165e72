//go:build unix

package embedded_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"datawatch/pkg/broker/embedded"
	"datawatch/pkg/testrig"
)

func start(t *testing.T, o embedded.StartOptions) *embedded.Process {
	t.Helper()
	p, err := embedded.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	return p
}

func TestCleanStopKeepsTopicsRecordsOffsetsAndProducers(t *testing.T) {
	for name, stop := range map[string]func(*embedded.Process) error{
		"Stop":    func(p *embedded.Process) error { return p.Stop(t.Context()) },
		"SIGTERM": func(p *embedded.Process) error { return errors.Join(syscall.Kill(p.PID(), syscall.SIGTERM), p.Err()) },
		"Stop behind a terminal's Ctrl-C and hangup": func(p *embedded.Process) error {
			return errors.Join(syscall.Kill(p.PID(), syscall.SIGINT), syscall.Kill(p.PID(), syscall.SIGHUP), p.Stop(t.Context()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			// The same port again, so that a client which outlives the broker finds it.
			addr := testrig.FreeAddress(t)
			p := start(t, embedded.StartOptions{DataDir: dir, Listen: addr})
			createTopic(t, addr, "orders", map[string]string{"retention.ms": "86400000"})
			producer := txnProducer(t, addr, "source-1")
			write(t, producer, "orders", 0, 100, true)
			write(t, producer, "orders", 1000, 1010, false)
			expectNumbers(t, take(t, addr, "readers", "orders", 100), 0, 100)

			if err := stop(p); err != nil {
				t.Fatalf("not a clean end: %v", err)
			}
			p = start(t, embedded.StartOptions{DataDir: dir, Listen: addr})
			if p.Addr() != addr {
				t.Fatalf("listens on %s, not on %s", p.Addr(), addr)
			}

			write(t, producer, "orders", 100, 150, true) // the producer of before goes on
			write(t, txnProducer(t, addr, "source-1"), "orders", 150, 200, true)
			expectNumbers(t, take(t, addr, "readers", "orders", 100), 100, 200)
			expectNumbers(t, take(t, addr, "others", "orders", 200), 0, 200)
			expectConfig(t, addr, "orders", "retention.ms", "86400000")
		})
	}
}

func TestBrokerClosesCleanlyWhenItsParentIsKilled(t *testing.T) {
	dir := t.TempDir()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentEnv+"="+dir)
	parent.Stderr = os.Stderr
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var c child
	if err := json.NewDecoder(stdout).Decode(&c); err != nil {
		t.Fatal(err)
	}
	createTopic(t, c.Addr, "orders", nil)
	write(t, txnProducer(t, c.Addr, "source-1"), "orders", 0, 10, true)

	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()

	log := new(recorder)
	var p *embedded.Process
	for deadline := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		p, err = embedded.Start(t.Context(), embedded.StartOptions{DataDir: dir, Log: slog.New(slog.NewTextHandler(log, nil))})
		if err == nil {
			break
		}
		if !errors.Is(err, embedded.ErrInUse) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = p.Kill() })
	expectNumbers(t, take(t, p.Addr(), "readers", "orders", 10), 0, 10)
	if strings.Contains(log.String(), "was not closed") {
		t.Errorf("the broker whose parent was killed didn't close: %s", log)
	}
}

func TestKilledBrokerIsReportedAndStartsAgainWithAWarning(t *testing.T) {
	dir := t.TempDir()
	p := start(t, embedded.StartOptions{DataDir: dir})
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Done():
	case <-time.After(within):
		t.Fatal("nobody noticed that the broker was killed")
	}
	if p.Err() == nil {
		t.Error("a kill looks like a clean end")
	}

	log := new(recorder)
	p = start(t, embedded.StartOptions{DataDir: dir, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "was not closed") {
		t.Errorf("no warning about the broker that was killed: %s", log)
	}
}

func TestPanicOfTheBrokerIsLoggedAndEndsOnlyIt(t *testing.T) {
	log := new(recorder)
	p := start(t, embedded.StartOptions{DataDir: t.TempDir(), Log: slog.New(slog.NewTextHandler(log, nil))})
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// A frame of four bytes that asks for a request no Kafka has.
	if _, err := conn.Write([]byte("\x00\x00\x00\x0a\x7f\xff\x00\x00\x00\x00\x00\x01\xff\xff")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Done():
	case <-time.After(within):
		t.Skip("this version of the broker bears a malformed frame")
	}
	if !strings.Contains(log.String(), "panic") {
		t.Errorf("the log doesn't say why the broker ended: %s", log)
	}
}

func TestSecondBrokerOnAFolderIsRefused(t *testing.T) {
	dir := t.TempDir()
	start(t, embedded.StartOptions{DataDir: dir})
	_, err := embedded.Start(t.Context(), embedded.StartOptions{DataDir: dir})
	if !errors.Is(err, embedded.ErrInUse) {
		t.Errorf("Start gave %v, not ErrInUse", err)
	}
}

func TestFailedStartSaysWhy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := embedded.Start(t.Context(), embedded.StartOptions{DataDir: file})
	if err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("Start on a file gave %v", err)
	}
}

// recorder is a log that is written to and read from several goroutines.
type recorder struct {
	mu   sync.Mutex
	text strings.Builder
}

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(b)
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}
