package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	parentEnv = "PROCESS_TEST_PARENT"
	within    = 2 * time.Minute
)

// TestMain lets the test binary be a parent that starts a child, says its id, and
// goes on until it is killed.
func TestMain(m *testing.M) {
	switch os.Getenv(parentEnv) {
	case "":
		os.Exit(m.Run())
	case "leash":
		p, err := Start(sleeper())
		if err != nil {
			panic(err)
		}
		fmt.Println(p.PID())
		<-p.Done()
	case "watchdog":
		cmd := exec.Command("sleep", "600")
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		if err := watchdog(cmd.Process.Pid, syscall.SIGKILL, make(chan struct{})); err != nil {
			panic(err)
		}
		fmt.Println(cmd.Process.Pid)
		_ = cmd.Wait()
	}
}

func sleeper() Spec {
	return Spec{Path: "/bin/sh", Args: []string{"-c", "echo started; exec sleep 600"}, OrphanSignal: syscall.SIGKILL}
}

func TestChildDiesWithItsParent(t *testing.T) {
	for _, how := range []string{"leash", "watchdog"} {
		t.Run(how, func(t *testing.T) {
			parent := exec.Command(os.Args[0])
			parent.Env = append(os.Environ(), parentEnv+"="+how)
			stdout, err := parent.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := parent.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(stdout).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(line))
			if err != nil {
				t.Fatal(err)
			}
			if !alive(pid) {
				t.Fatal("the child never lived")
			}
			if err := parent.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = parent.Wait()
			for deadline := time.Now().Add(within); alive(pid); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					_ = syscall.Kill(pid, syscall.SIGKILL)
					t.Fatal("the child outlived its parent")
				}
			}
		})
	}
}

// alive doesn't count a zombie that nobody collects.
func alive(pid int) bool {
	out, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	state := strings.TrimSpace(string(out))
	return err == nil && state != "" && !strings.HasPrefix(state, "Z")
}

func TestStopKillsWhoDoesNotListen(t *testing.T) {
	s := sleeper()
	s.Args = []string{"-c", "trap '' TERM; echo started; while :; do sleep 0.1; done"}
	p, err := Start(s)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(within); !strings.Contains(p.Tail(), "started"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the child says nothing")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := p.Stop(ctx, syscall.SIGTERM); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Stop gave %v", err)
	}
	if alive(p.PID()) {
		t.Error("the child lives on")
	}
}

func TestTailIsTheLastLines(t *testing.T) {
	p, err := Start(Spec{Path: "/bin/sh", Args: []string{"-c", "seq 1 1000"}, OrphanSignal: syscall.SIGKILL})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(within); !strings.HasSuffix(p.Tail(), "\n1000"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("tail: %q", p.Tail())
		}
	}
	if n := strings.Count(p.Tail(), "\n") + 1; n != keptLines {
		t.Errorf("%d lines are kept", n)
	}
}

func TestMissingProgramIsAnError(t *testing.T) {
	if _, err := Start(Spec{Path: "/nowhere/server"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Start gave %v", err)
	}
}

func TestAwaitGoesOnUntilAnAnswerOrTheEnd(t *testing.T) {
	silent := errors.New("nobody listens")
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()

	p, err := Start(sleeper())
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	if err := p.Await(ctx, func(context.Context) error {
		if asked++; asked < 3 {
			return silent
		}
		return nil
	}); err != nil || asked != 3 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	short, end := context.WithTimeout(ctx, time.Millisecond)
	defer end()
	if err := p.Await(short, func(context.Context) error { return silent }); !errors.Is(err, silent) {
		t.Errorf("who never answers: %v", err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}

	p, err = Start(Spec{Path: "/bin/sh", Args: []string{"-c", "echo no room left; exit 3"}, OrphanSignal: syscall.SIGKILL})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Await(ctx, func(context.Context) error { return silent }); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("who has ended: %v", err)
	}
}
