package kafka

import (
	"net"
	"strings"
	"testing"

	"datawatch/pkg/config"
)

// TestBrokerThatHangsUpOnAPasswordIsToldAsSuch has a broker that closes the connection, as some do with a wrong password.
func TestBrokerThatHangsUpOnAPasswordIsToldAsSuch(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1024))
			_ = conn.Close()
		}
	}()
	k, err := newCluster(t.Context(), config.Cluster{
		Addresses: []string{listener.Addr().String()}, SASL: config.SASL{Mechanism: "plain", Username: "shop", Password: "x"},
	}, internal())
	if err != nil {
		t.Fatal(err)
	}
	defer k.close()
	_, err = k.topics(t.Context())
	if err == nil || !strings.Contains(err.Error(), `hung up on "shop": wrong password`) {
		t.Errorf("%v", err)
	}
}
