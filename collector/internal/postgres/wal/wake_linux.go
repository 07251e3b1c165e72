package wal

import (
	"net"
	"syscall"
)

// wakeAt has the kernel wake the runtime for this connection when n bytes are there, not before. Go's runtime asks the kernel
// for each arrival, also while nobody reads: a thread is woken for each message of a busy server, for nothing. It is only
// about cost, so that a connection that can't take it stays as it is. Reading takes what there is either way, once it is called.
func wakeAt(c net.Conn, n int) {
	if secure, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = secure.NetConn()
	}
	socket, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, n) })
}
