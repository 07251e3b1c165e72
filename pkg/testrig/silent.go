package testrig

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"
)

// Silent are addresses of nobody who answers: "mute" takes connections and says nothing, "deaf" takes none any more, as where a firewall
// swallows them.
func Silent(t testing.TB) map[string]string {
	t.Helper()
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var held []net.Conn
	taken := make(chan struct{})
	go func() {
		defer close(taken)
		for {
			c, err := mute.Accept()
			if err != nil {
				return
			}
			held = append(held, c)
		}
	}()
	deaf, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = mute.Close()
		<-taken
		for _, c := range held {
			_ = c.Close()
		}
		_ = syscall.Close(deaf)
	})
	if err := errors.Join(syscall.Bind(deaf, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(deaf, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(deaf)
	if err != nil {
		t.Fatal(err)
	}
	full := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for {
		c, err := net.DialTimeout("tcp", full, 500*time.Millisecond)
		if err != nil {
			break
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	return map[string]string{"mute": mute.Addr().String(), "deaf": full}
}
