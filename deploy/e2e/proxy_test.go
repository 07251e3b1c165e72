package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"datawatch/pkg/testrig"
)

// wire is a connection of datawatch's to one server, which goes bad at random.
type wire struct {
	name  string
	proxy *toxiproxy.Proxy
	cuts  int
	slows int
}

// newWire listens where datawatch is to connect to, and leads to upstream.
func newWire(t *testing.T, name, upstream string) *wire {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	w := &wire{name: name, proxy: toxiproxy.NewProxy(server, name, testrig.FreeAddress(t), upstream)}
	if err := w.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.proxy.Stop)
	return w
}

func (w *wire) addr() string { return w.proxy.Listen }

// toxics are what may befall a connection that stays open, as toxiproxy's README describes them: data that comes late, a
// trickle at a time, or no more before the connection is closed or reset, or breaks off in the middle of an answer.
var toxics = []string{
	`{"type": "latency", "stream": "downstream", "attributes": {"latency": 150, "jitter": 100}}`,
	`{"type": "latency", "stream": "upstream", "attributes": {"latency": 150, "jitter": 100}}`,
	`{"type": "bandwidth", "stream": "downstream", "attributes": {"rate": 20}}`,
	`{"type": "bandwidth", "stream": "upstream", "attributes": {"rate": 20}}`,
	`{"type": "slicer", "stream": "downstream", "attributes": {"average_size": 40, "size_variation": 20, "delay": 200}}`,
	`{"type": "timeout", "stream": "downstream", "attributes": {"timeout": 300}}`,
	`{"type": "timeout", "stream": "upstream", "attributes": {"timeout": 300}}`,
	`{"type": "reset_peer", "stream": "downstream", "attributes": {"timeout": 50}}`,
	`{"type": "limit_data", "stream": "downstream", "attributes": {"bytes": 3000}}`,
	`{"type": "limit_data", "stream": "upstream", "attributes": {"bytes": 3000}}`,
}

// disturb cuts or slows the connections for a moment.
func (w *wire) disturb(t testing.TB, random *rand.Rand) {
	moment := time.Duration(100+random.IntN(700)) * time.Millisecond
	if random.IntN(3) == 0 {
		w.cuts++
		w.proxy.Stop() // every connection is closed, and new ones are refused
		time.Sleep(moment)
		testrig.Eventually(t, 10*time.Second, w.proxy.Start) // somebody else's connection may have the port for a moment
		return
	}
	w.slows++
	if _, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(toxics[random.IntN(len(toxics))])); err != nil {
		t.Error(err)
	}
	time.Sleep(moment)
	w.proxy.Toxics.ResetToxics(t.Context())
}

func (w *wire) String() string {
	return fmt.Sprintf("%s was cut %d times and slowed %d times", w.name, w.cuts, w.slows)
}
