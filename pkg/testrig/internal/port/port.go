// Package port finds TCP ports for servers that must be told theirs.
package port

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Free ports are looked for below the range from which systems take the ports of
// outgoing connections, so that a server which is restarted finds its port free.
const (
	lowest  = 15000
	highest = 31999
)

// Free gives a port of 127.0.0.1 on which nothing listens. Another process may
// take it before the caller does: a server that can't bind is to be given another.
func Free() (int, error) {
	var err error
	for range 100 {
		port := lowest + rand.IntN(highest-lowest+1)
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("find a free port: %w", err)
}
