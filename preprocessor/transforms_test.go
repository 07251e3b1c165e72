package preprocessor_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"

	"datawatch/preprocessor/internal/transform"
)

func TestTransformsHoldOnTheWayToClean(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c, topics := settings(t, addr)
		c.Preprocessor.Transforms = []transform.Rule{
			{Stream: "shop-db/public.*", Filter: `self.note != "noise"`},
			{Stream: "shop-db/public.orders", Rename: "shop-db/orders"},
			{Stream: "shop-db/orders", Key: []string{"seq"}},
		}
		publish(t, publisher(t, c), row(topics, 1, 7, "noise"), row(topics, 2, 7, "kept"))
		i := start(t, c)
		clean := await(t, c, topics.Clean, 1)
		e, err := event.ParseClean(clean[0].Value)
		if err != nil {
			t.Fatal(err)
		}
		if len(clean) != 1 || string(clean[0].Key) != "shop-db/orders\n{\"seq\":2}" || e.Stream != "shop-db/orders" || !strings.Contains(string(e.Change.After), "kept") {
			t.Errorf("%d events, %q: %s", len(clean), clean[0].Key, clean[0].Value)
		}
		testrig.Eventually(t, 5*time.Second, func() error {
			if n := metric(t, i.env.Metrics, "datawatch_preprocessor_events_dropped_total"); n != 1 {
				return fmt.Errorf("%v drops counted", n)
			}
			return nil
		})
	})
}
