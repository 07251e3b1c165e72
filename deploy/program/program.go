// Package program builds datawatch's services from the checkout and runs them as users do: as processes of their own,
// with a configuration file. The demo and the end-to-end tests stand on it.
package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Services are the names in the order of the flow.
var Services = []string{"collector", "preprocessor", "validator"}

// SourceTree is the folder of the checkout that this package was built from.
func SourceTree() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// Build builds a module's program into folder and returns its path; a service's program has its module's name.
func Build(ctx context.Context, module, name, folder string) (string, error) {
	path := filepath.Join(folder, name)
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/"+name)
	build.Dir = filepath.Join(SourceTree(), module)
	if text, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", name, err, text)
	}
	return path, nil
}

// Process is a service at work.
type Process struct {
	name  string
	log   string
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // how it ended; read after ended
}

// Start runs a program with a configuration; what it prints is appended to the file log.
func Start(path, config, log string) (*Process, error) {
	name := filepath.Base(path)
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	p := &Process{name: name, log: log, cmd: exec.Command(path, "--config", config), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = leash()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// PID is the id of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Failure tells how an ended process ended, with the end of its log.
func (p *Process) Failure() error {
	if p.err == nil {
		return fmt.Errorf("%s ended by itself\n%s", p.name, p.Tail())
	}
	return fmt.Errorf("%s ended: %w\n%s", p.name, p.err, p.Tail())
}

// AwaitReady asks the /readyz at address until the service is ready, for at most three minutes.
func (p *Process) AwaitReady(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 3*time.Minute, errors.New("not ready within three minutes"))
	defer cancel()
	for {
		ready, answer := askReady(ctx, address)
		if ready {
			return nil
		}
		select {
		case <-p.ended:
			return p.Failure()
		case <-ctx.Done():
			return fmt.Errorf("%s: %w\n%s\n%s", p.name, context.Cause(ctx), answer, p.Tail())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func askReady(ctx context.Context, address string) (ready bool, answer string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return false, err.Error()
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return false, err.Error()
	}
	return response.StatusCode == http.StatusOK, string(body)
}

// Tail is the end of the process's log.
func (p *Process) Tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// Reload has the service read its configuration again.
func (p *Process) Reload() error { return p.cmd.Process.Signal(syscall.SIGHUP) }

// Stop asks the process to end, and kills it when ctx is done before it has.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		err := p.Kill()
		return errors.Join(fmt.Errorf("%s didn't stop: %w", p.name, ctx.Err()), err)
	}
}

// Kill ends the process at once, by SIGKILL, and waits until it is gone.
func (p *Process) Kill() error {
	err := p.cmd.Process.Kill()
	<-p.ended
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}
