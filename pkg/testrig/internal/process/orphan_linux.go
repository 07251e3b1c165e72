package process

import "syscall"

// leash makes the kernel signal the child when its parent dies.
func leash(attr *syscall.SysProcAttr, sig syscall.Signal) { attr.Pdeathsig = sig }

// guard has nothing left to do.
func guard(int, syscall.Signal, <-chan struct{}) error { return nil }
