//go:build !linux

package wal

import "net"

// wakeAt is for Linux.
func wakeAt(net.Conn, int) {}
