//go:build unix && !linux

package process

import "syscall"

// leash has no kernel to ask: guard does the work.
func leash(*syscall.SysProcAttr, syscall.Signal) {}

func guard(pid int, sig syscall.Signal, done <-chan struct{}) error { return watchdog(pid, sig, done) }
