package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"datawatch/deploy/program"
	"datawatch/deploy/telegramsim"
	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/mongodb"
)

func TestMain(m *testing.M) { testrig.Main(m) }

// TestDemoShowsAnAlertAndLeavesNothing runs the demo as a newcomer does, looks at the chat page's API, edits a schema, and
// ends it by Ctrl-C.
func TestDemoShowsAnAlertAndLeavesNothing(t *testing.T) {
	d := makeDemo(t)
	page := d.page(t)
	testrig.Eventually(t, time.Minute, func() error { return shows(page, alertsChat, "Order total is not the sum of its items") })
	testrig.Eventually(t, time.Minute, func() error { return shows(page, feedChat, "orders") })
	if cartsCanBeHad(t) {
		testrig.Eventually(t, 2*time.Minute, func() error { return shows(page, feedChat, "carts") })
		testrig.Eventually(t, 2*time.Minute, func() error { return shows(page, alertsChat, "shop.carts") })
	} else {
		testrig.Eventually(t, time.Minute, func() error { return d.says("carts       none") })
	}
	const edited = `{"required": ["customs_form"]}`
	if err := os.WriteFile(filepath.Join(d.schemas(t), "shop-kafka", "shipments.requested.json"), []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	testrig.Eventually(t, 2*time.Minute, func() error { return shows(page, alertsChat, `"customs_form" is missing`) })
	d.end(t)
}

// cartsCanBeHad tells whether this machine has what the demo's MongoDB part needs.
func cartsCanBeHad(t *testing.T) bool {
	t.Helper()
	if _, err := exec.LookPath("mongod"); err == nil {
		return true
	}
	_, err := mongodb.Fetch(t.Context())
	if err != nil && os.Getenv("DATAWATCH_REQUIRE_SERVERS") == "1" {
		t.Fatal(err)
	}
	return err == nil
}

// TestTwoDemosDontDisturbEachOther has the second find every port taken.
func TestTwoDemosDontDisturbEachOther(t *testing.T) {
	first, second := startDemo(t), startDemo(t)
	one, other := first.page(t), second.page(t)
	if one == other {
		t.Errorf("both are at %s", one)
	}
	for _, page := range []string{one, other} {
		testrig.Eventually(t, time.Minute, func() error { return shows(page, feedChat, "orders") })
	}
	first.end(t)
	second.end(t)
}

// running is a demo as a process, in a temporary folder of its own.
type running struct {
	cmd    *exec.Cmd
	folder string
	mu     sync.Mutex
	output bytes.Buffer
	pages  chan string
	ended  chan error
}

func startDemo(t *testing.T) *running {
	t.Helper()
	path, err := program.Build(t.Context(), "deploy", "demo", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return runDemo(t, exec.Command(path))
}

// makeDemo starts the demo as the README says.
func makeDemo(t *testing.T) *running {
	t.Helper()
	return runDemo(t, exec.Command("make", "--no-print-directory", "-C", program.SourceTree(), "demo"))
}

func runDemo(t *testing.T, cmd *exec.Cmd) *running {
	t.Helper()
	d := &running{cmd: cmd, pages: make(chan string, 1), ended: make(chan error, 1)}
	var err error
	// Not t.TempDir, which PostgreSQL's user couldn't walk through.
	if d.folder, err = os.MkdirTemp("", "datawatch-demo-test-"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(d.folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "TELEGRAM_") && !strings.HasPrefix(v, "TMPDIR=") && !strings.HasPrefix(v, "MAKE") && !strings.HasPrefix(v, "MFLAGS=") {
			d.cmd.Env = append(d.cmd.Env, v)
		}
	}
	d.cmd.Env = append(d.cmd.Env, "TMPDIR="+d.folder)
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what a terminal gives it, and sends Ctrl-C to
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.cmd.Stderr = d.cmd.Stdout
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go d.read(out)
	t.Cleanup(func() {
		_ = syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
		if t.Failed() {
			d.mu.Lock()
			t.Logf("the demo said:\n%s", d.output.String())
			d.mu.Unlock()
		}
		_ = os.RemoveAll(d.folder)
	})
	return d
}

// says looks for a text in what the demo printed.
func (d *running) says(text string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !strings.Contains(d.output.String(), text) {
		return fmt.Errorf("the demo doesn't say %q", text)
	}
	return nil
}

var (
	chatPage     = regexp.MustCompile(`chat page +(http://\S+)`)
	schemaFolder = regexp.MustCompile(`schemas +(\S+) +edit a file`)
)

// schemas is the folder that the demo names.
func (d *running) schemas(t *testing.T) string {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	m := schemaFolder.FindStringSubmatch(d.output.String())
	if m == nil {
		t.Fatal("the demo names no schema folder")
	}
	return m[1]
}

func (d *running) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		d.mu.Lock()
		d.output.WriteString(lines.Text() + "\n")
		d.mu.Unlock()
		if m := chatPage.FindStringSubmatch(lines.Text()); m != nil {
			d.pages <- m[1]
		}
	}
	d.ended <- d.cmd.Wait()
}

// page waits for the address of the chat page.
func (d *running) page(t *testing.T) string {
	t.Helper()
	select {
	case page := <-d.pages:
		return page
	case err := <-d.ended:
		t.Fatalf("the demo ended: %v", err)
	case <-time.After(10 * time.Minute): // a first run builds and fetches
		t.Fatal("no chat page within ten minutes")
	}
	return ""
}

// end presses Ctrl-C and checks that nothing is left: no file, no process.
func (d *running) end(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(-d.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-d.ended:
		if how, ok := d.cmd.ProcessState.Sys().(syscall.WaitStatus); err != nil && !(ok && how.Signaled() && how.Signal() == syscall.SIGINT) { // as make ends
			t.Errorf("the demo ended with %v", err)
		}
		if d.says("***") == nil {
			t.Error("make calls the end by Ctrl-C an error")
		}
	case <-time.After(3 * time.Minute):
		_ = syscall.Kill(-d.cmd.Process.Pid, syscall.SIGQUIT)
		t.Fatal("the demo didn't end within three minutes")
	}
	left, err := os.ReadDir(d.folder)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
	testrig.Eventually(t, 5*time.Second, func() error {
		if still := processesNaming(d.folder); len(still) > 0 {
			return fmt.Errorf("still running: %v", still)
		}
		return nil
	})
}

// processesNaming lists the processes whose command line names the folder, where the system has /proc.
func processesNaming(folder string) []string {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline") // no /proc: nothing to see
	var found []string
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil && bytes.Contains(line, []byte(folder)) {
			found = append(found, string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
		}
	}
	return found
}

// shows asks the chat page's API for a message with the text.
func shows(page string, chat int64, text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%sapi/chats/%d/messages", page, chat), nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	var messages []telegramsim.Message
	if err := json.Unmarshal(body, &messages); err != nil {
		return errors.Join(err, fmt.Errorf("the page answers %s", body))
	}
	for _, m := range messages {
		if strings.Contains(m.Text, text) {
			return nil
		}
	}
	return fmt.Errorf("%d messages, none with %q", len(messages), text)
}
