package postgres

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// killTree kills a postmaster and its children as a crash of the machine would:
// none gets to do anything first. Backends are in sessions of their own, so there
// is no group to signal; the postmaster is halted, so that it can't start others.
func killTree(postmaster int) error {
	if err := syscall.Kill(postmaster, syscall.SIGSTOP); err != nil {
		if errors.Is(err, syscall.ESRCH) {
			return nil
		}
		return fmt.Errorf("halt the postmaster: %w", err)
	}
	children, listErr := childrenOf(postmaster)
	for _, pid := range append([]int{postmaster}, children...) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill %d: %w", pid, err)
		}
	}
	if listErr != nil {
		return listErr
	}
	return awaitGone(children)
}

// processes lists every process: its id, its parent's, and its state.
func processes() ([][3]string, error) {
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=,stat=").Output()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var list [][3]string
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 3 {
			list = append(list, [3]string{f[0], f[1], f[2]})
		}
	}
	return list, nil
}

func childrenOf(pid int) ([]int, error) {
	list, err := processes()
	if err != nil {
		return nil, err
	}
	parent := strconv.Itoa(pid)
	var children []int
	for _, p := range list {
		if p[1] == parent {
			child, err := strconv.Atoi(p[0])
			if err != nil {
				return nil, fmt.Errorf("list processes: %w", err)
			}
			children = append(children, child)
		}
	}
	return children, nil
}

// awaitGone waits until the processes hold nothing any more: a server that starts
// on the same data would else refuse. A zombie that nobody collects holds nothing.
func awaitGone(pids []int) error {
	gone := make(map[string]bool, len(pids))
	for _, pid := range pids {
		gone[strconv.Itoa(pid)] = true
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		list, err := processes()
		if err != nil {
			return err
		}
		alive := 0
		for _, p := range list {
			if gone[p[0]] && !strings.HasPrefix(p[2], "Z") {
				alive++
			}
		}
		if alive == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d processes of the killed server are still there", alive)
		}
	}
}
