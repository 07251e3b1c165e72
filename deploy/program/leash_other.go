//go:build !linux

package program

import "syscall"

// leash keeps the terminal's Ctrl-C for the parent alone, which stops everything in order.
func leash() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
