// Package process runs a server as a child process that does not outlive its
// parent, and keeps the last lines of what it says for error messages.
package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// keptLines is how many lines of output [Process.Tail] gives at most.
const keptLines = 40

// askAgain is how long [Process.Await] waits between questions.
const askAgain = 25 * time.Millisecond

// Spec says what to run.
type Spec struct {
	Path string
	Args []string
	Env  []string
	Dir  string

	// User, where set, is whom the process runs as; only root can do that.
	User *syscall.Credential

	// OrphanSignal is sent to the process when its parent has died.
	OrphanSignal syscall.Signal

	// Log receives each line of output at level Debug.
	Log *slog.Logger
}

// Process is a child process.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of its end; read after done

	mu   sync.Mutex
	tail []string
}

// Start starts the process. It is in a process group of its own, so that Ctrl-C
// in a terminal reaches the parent alone, which then stops it in order.
func Start(s Spec) (*Process, error) {
	cmd := exec.Command(s.Path, s.Args...)
	cmd.Env, cmd.Dir = s.Env, s.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.User}
	leash(cmd.SysProcAttr, s.OrphanSignal)

	output, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Path, err)
	}
	cmd.Stdout, cmd.Stderr = w, w

	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Linux sends the orphan signal when the thread that started the child
		// ends, so the thread is kept for as long as the child lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		w.Close()
		if err == nil {
			err = guard(cmd.Process.Pid, s.OrphanSignal, p.done)
		}
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		output.Close()
		if cmd.Process != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		return nil, fmt.Errorf("start %s: %w", s.Path, err)
	}
	go p.read(output, s.Log)
	return p, nil
}

// read goes on for as long as anybody holds the other end: a server's own
// children may outlive it for a moment.
func (p *Process) read(output io.ReadCloser, log *slog.Logger) {
	defer output.Close()
	lines := bufio.NewReader(output)
	for {
		line, err := lines.ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			p.keep(line)
			if log != nil {
				log.Debug(line)
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *Process) keep(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.tail) == keptLines {
		p.tail = append(p.tail[:0], p.tail[1:]...)
	}
	p.tail = append(p.tail, line)
}

// Await asks until it gets an answer: ask returns nil. Its error, where the process ends first, or none has come when ctx is done,
// carries the last lines of output.
func (p *Process) Await(ctx context.Context, ask func(context.Context) error) error {
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("the server ended: %w\n%s", p.err, p.Tail())
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w\n%s", err, p.Tail())
		case <-time.After(askAgain):
		}
	}
}

// Tail is the last lines of output.
func (p *Process) Tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.tail, "\n")
}

// PID is the id of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the process ended. It waits for the end.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// Signal sends sig; to a process that has ended it does nothing.
func (p *Process) Signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %v: %w", sig, err)
	}
	return nil
}

// Stop sends sig and waits for the end; when ctx is done before, it kills.
func (p *Process) Stop(ctx context.Context, sig os.Signal) error {
	if err := p.Signal(sig); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("killed, as it did not stop: %w", context.Cause(ctx)), p.Kill())
	}
}

// Kill sends SIGKILL and waits for the end.
func (p *Process) Kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}
