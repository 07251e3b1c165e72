package validator_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"unsafe"

	"datawatch/pkg/broker"
	"datawatch/pkg/daemon"
	"datawatch/pkg/testrig"
	"datawatch/validator"
)

// terminal is a pseudo-terminal: what is written to screen comes out of shown.
func terminal(t *testing.T) (screen, shown *os.File) {
	t.Helper()
	shown, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminal to be had: ", err)
	}
	t.Cleanup(func() { _ = shown.Close() })
	var number, unlock int32
	for request, argument := range map[uintptr]*int32{syscall.TIOCSPTLCK: &unlock, syscall.TIOCGPTN: &number} {
		if _, _, failed := syscall.Syscall(syscall.SYS_IOCTL, shown.Fd(), request, uintptr(unsafe.Pointer(argument))); failed != 0 {
			t.Skip("no terminal to be had: ", failed)
		}
	}
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminal to be had: ", err)
	}
	return screen, shown
}

// TestProgressIsShownOnATerminalAndNowhereElse: it is overwritten as it grows, and wiped at the end.
func TestProgressIsShownOnATerminalAndNowhereElse(t *testing.T) {
	w := newTraffic(t, testrig.Embedded(t))
	var records []broker.Record
	for i := range 2500 {
		records = append(records, w.clean(order(i)))
	}
	w.publish(records...)
	for what, args := range map[string][]string{"replaying": {"replay", "testdata/schemas"}, "reading": {"infer", "--stream", string(orders)}} {
		args = append(args, "--config", w.config)
		screen, shown := terminal(t)
		read := make(chan []byte, 1)
		go func() {
			text, _ := io.ReadAll(shown) // ends with an error when the screen is closed
			read <- text
		}()
		var out bytes.Buffer
		if code := daemon.Execute(validator.Service(), args, &out, screen); code != daemon.ExitOK {
			t.Errorf("%v: exit %d", args, code)
		}
		if err := screen.Close(); err != nil {
			t.Fatal(err)
		}
		text := <-read
		for _, want := range []string{"\r" + what + ": 1,000 of ", "\r" + what + ": 2,000 of ", "\r\x1b[K"} {
			if !bytes.Contains(text, []byte(want)) {
				t.Errorf("no %q in %q", want, text)
			}
		}
		if _, errs := w.run(daemon.ExitOK, args[:len(args)-2]...); bytes.Contains([]byte(errs), []byte(what)) {
			t.Errorf("shown where nobody looks: %q", errs)
		}
	}
}
