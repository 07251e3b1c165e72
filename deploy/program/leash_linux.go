package program

import "syscall"

// leash ends a service with its parent, however that ends, and keeps a terminal's Ctrl-C for the parent alone, which stops
// everything in order.
func leash() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
