//go:build unix

package process

import (
	"os/exec"
	"strconv"
	"syscall"
)

// watchdog starts a shell that signals pid once this process is gone: its
// standard input is a pipe that nobody writes to, and that ends with us. When
// done is closed, the shell is ended first.
func watchdog(pid int, sig syscall.Signal, done <-chan struct{}) error {
	cmd := exec.Command("/bin/sh", "-c", `read -r _; kill "-$1" "$2"`, "watchdog",
		strconv.Itoa(int(sig)), strconv.Itoa(pid))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		<-done
		// Killed before its input ends, as the pid may by then be another's.
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = stdin.Close()
	}()
	return nil
}
