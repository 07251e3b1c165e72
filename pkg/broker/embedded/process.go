package embedded

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// stopTimeout bounds how long [Process.Stop] waits for a clean close.
const stopTimeout = 15 * time.Second

// StartOptions say how a broker in a process of its own is to run.
type StartOptions struct {
	// DataDir, Listen and AutoCreateTopics are those of [Options].
	DataDir          string
	Listen           string
	AutoCreateTopics bool

	// Log receives the child's log lines, and whatever else it writes to its
	// standard error as errors. Default: nothing is logged.
	Log *slog.Logger
}

// Process is a broker in a child process.
type Process struct {
	cmd   *exec.Cmd
	stdin io.Closer // the child's leash: it closes itself when this end is closed
	addr  string
	done  chan struct{}
	err   error // of the child's end; read after done

	once sync.Once // of letGo
}

// Start runs a broker in a child process, which is the caller's own executable
// started again: its main must call [MainIfChild] first. It returns when the
// broker listens; ctx bounds that wait only. The child closes itself cleanly
// when the parent ends, even if that is by SIGKILL.
func Start(ctx context.Context, o StartOptions) (*Process, error) {
	if _, isChild := os.LookupEnv(childEnv); isChild {
		return nil, errors.New("start the embedded broker: this program's main doesn't begin with embedded.MainIfChild()")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p, stdout, err := o.launch()
	if err != nil {
		return nil, fmt.Errorf("start the embedded broker: %w", err)
	}
	if p.addr, err = p.await(ctx, stdout); err != nil {
		return nil, errors.Join(fmt.Errorf("start the embedded broker: %w", err), p.Kill())
	}
	return p, nil
}

// launch starts the child and gives what it writes to its standard output.
func (o StartOptions) launch() (*Process, io.Reader, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	// The child may be started from another folder than it was named in.
	dataDir, err := filepath.Abs(o.DataDir)
	if err != nil || o.DataDir == "" {
		return nil, nil, errors.Join(errors.New("DataDir is required"), err)
	}
	text, err := json.Marshal(orders{DataDir: dataDir, Listen: o.Listen, AutoCreateTopics: o.AutoCreateTopics})
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	p := &Process{cmd: cmd, stdin: stdin, done: make(chan struct{})}
	out, toOut := io.Pipe()
	var output sync.WaitGroup
	output.Go(func() { relay(stderr, o.Log) })
	output.Go(func() { _, err := io.Copy(toOut, stdout); toOut.CloseWithError(err) })
	go func() {
		output.Wait() // Wait closes the pipes, so they are read to their end first
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, out, nil
}

// await reads the child's notice.
func (p *Process) await(ctx context.Context, stdout io.Reader) (addr string, err error) {
	type answer struct {
		line string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		r := bufio.NewReader(stdout)
		line, err := r.ReadString('\n')
		answers <- answer{line, err}
		_, _ = io.Copy(io.Discard, r)
	}()
	select {
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case a := <-answers:
		if a.err != nil {
			<-p.done
			return "", fmt.Errorf("the process ended before it listened: %w", errors.Join(p.err, a.err))
		}
		return parseNotice(a.line)
	}
}

func parseNotice(line string) (addr string, err error) {
	var n notice
	switch err := json.Unmarshal([]byte(line), &n); {
	case err != nil:
		return "", fmt.Errorf("unexpected output %q: does main call embedded.MainIfChild() before it prints anything?", strings.TrimSpace(line))
	case n.InUse:
		return "", childError{n.Error, ErrInUse}
	case n.Error != "":
		return "", errors.New(n.Error)
	}
	return n.Addr, nil
}

// childError is an error that was told by the child.
type childError struct {
	text string
	is   error
}

func (e childError) Error() string { return e.text }
func (e childError) Unwrap() error { return e.is }

// Addr is the host:port that clients connect to.
func (p *Process) Addr() string { return p.addr }

// PID is the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended, whatever ended it.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the child ended: nil after a clean close. It waits for the end.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// Stop closes the broker cleanly and waits for the end of its process. When that
// takes longer than ctx or 15 seconds, the process is killed and the error says so.
func (p *Process) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	p.letGo()
	select {
	case <-p.done:
		if p.err != nil {
			return fmt.Errorf("stop the embedded broker: %w", p.err)
		}
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("stop the embedded broker: killed, as it did not close: %w", ctx.Err()), p.Kill())
	}
}

// Kill ends the child at once, as SIGKILL does, and waits for its end. What it
// then keeps is not promised: see the package's comment.
func (p *Process) Kill() error {
	defer p.letGo()
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill the embedded broker: %w", err)
	}
	<-p.done
	return nil
}

// letGo ends the child's standard input, which means the same to it as SIGTERM,
// and works on every system.
func (p *Process) letGo() { p.once.Do(func() { _ = p.stdin.Close() }) }
