package wal

import (
	"crypto/tls"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
)

// TestFewBytesWakeNobodyWhileMessagesGather, plain or encrypted; and each byte does when they are read again.
func TestFewBytesWakeNobodyWhileMessagesGather(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	c, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	wakes := func() (at int) {
		raw, err := c.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Error(err)
			return 0
		}
		_ = raw.Control(func(fd uintptr) {
			if at, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT); err != nil {
				t.Error(err)
			}
		})
		return at
	}
	for name, conn := range map[string]net.Conn{"plain": c, "encrypted": tls.Client(c, nil)} {
		s := newStreamOver(t, conn)
		var quiet atomic.Bool
		ended := make(chan struct{})
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			for {
				select {
				case <-ended:
					return
				default:
					quiet.Store(quiet.Load() || wakes() > 1)
				}
			}
		}()
		for range 200 { // a busy machine may not look in the middle of one
			if err := s.hand(t.Context(), nil, false); err != nil {
				t.Fatal(err)
			}
			<-s.chunks
			if quiet.Load() {
				break
			}
		}
		close(ended)
		<-watched
		if at := wakes(); !quiet.Load() || at != 1 {
			t.Errorf("%s: quiet %v, and then from %d bytes on", name, quiet.Load(), at)
		}
	}
}
