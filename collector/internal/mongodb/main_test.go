package mongodb

import (
	"net"
	"testing"

	"datawatch/pkg/testrig"
)

func TestMain(m *testing.M) {
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: dialNames}
	testrig.Main(m)
}
