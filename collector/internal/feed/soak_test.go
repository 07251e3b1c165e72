package feed

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/telegram"
)

// group is a group in Telegram with its limits: 20 messages and edits in any minute, one a second in the long run, and what
// is sent in spite of a 429 makes it longer.
type group struct {
	mu      sync.Mutex
	until   time.Time // flooded until then
	recent  []time.Time
	floods  int
	ignored int // sent while flooded
	texts   map[int]string
}

// flood has the group refuse everything for a while, as Telegram does now and then whatever a bot sends.
func (g *group) flood(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.until = time.Now().Add(d)
}

// admit tells how many seconds to wait; 0 is none.
func (g *group) admit(now time.Time) int {
	if wait := g.until.Sub(now); wait > 0 {
		g.ignored++
		return int(wait/time.Second) + 1
	}
	for len(g.recent) > 0 && now.Sub(g.recent[0]) >= time.Minute {
		g.recent = g.recent[1:]
	}
	burst := 0
	for _, at := range g.recent {
		if now.Sub(at) < 5*time.Second {
			burst++
		}
	}
	if len(g.recent) >= 20 || burst >= 9 {
		g.floods++
		g.until = now.Add(10 * time.Second)
		return 10
	}
	g.recent = append(g.recent, now)
	return 0
}

func (g *group) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(60 * time.Millisecond) // it is far
	var params map[string]string
	if err := json.NewDecoder(r.Body).Decode(&params); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var answer string
	status := http.StatusOK
	if wait := g.admit(time.Now()); wait > 0 {
		status, answer = http.StatusTooManyRequests, fmt.Sprintf(`{"ok":false,"error_code":429,"description":"Too Many Requests: retry after %d","parameters":{"retry_after":%d}}`, wait, wait)
	} else {
		id, err := strconv.Atoi(params["message_id"])
		if err != nil {
			id = len(g.texts) + 1
		}
		g.texts[id] = params["text"]
		answer = fmt.Sprintf(`{"ok":true,"result":{"message_id":%d,"chat":{"id":-5},"date":1}}`, id)
	}
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(answer)),
	}, nil
}

var (
	ofDigest  = regexp.MustCompile(`<b>shop-db</b> · ([0-9,]+) transactions? in`)
	countLost = regexp.MustCompile(`(?m)^([0-9,]+) more changes? came too fast`)
)

// counted is how many transactions the messages show, and how many they count.
func (g *group) counted() (shown, summed int) {
	number := func(text string) int {
		n, _ := strconv.Atoi(strings.ReplaceAll(text, ",", ""))
		return n
	}
	for _, text := range g.texts {
		found, lost := ofDigest.FindStringSubmatch(text), countLost.FindStringSubmatch(text)
		if found == nil && lost == nil {
			shown++
		}
		if found != nil {
			summed += number(found[1])
		}
		if lost != nil {
			summed += number(lost[1])
		}
	}
	return shown, summed
}

// Bounds of the soak.
const (
	soakTransactions = 50_000
	soakTime         = 10 * time.Minute
	soakMemory       = 150 << 20
)

// TestSoakShowsOrCountsEverything lets 50,000 transactions come within ten minutes of Telegram's limits, through the client
// that services use, with floods that nobody caused and verdicts that are edited in: each is shown or counted, no 429 is
// ignored, and memory stays bounded. The clock is simulated.
func TestSoakShowsOrCountsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &group{texts: map[int]string{}}
		client, err := telegram.New(telegram.Options{
			Config: config.Telegram{Token: "1:test", APIURL: "http://telegram.invalid"}, Service: "collector",
			Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Transport: g,
		})
		if err != nil {
			t.Fatal(err)
		}
		r := run(t, 0, func(o *Options) { o.Sender, o.Chat = client, telegram.Chat{ID: -5} })
		var most uint64
		pause := soakTime / soakTransactions
		for i := range soakTransactions {
			n := i + 1
			r.Offer([]event.Raw{insertOf(int64(n), n)})
			switch {
			case n%10_000 == 0:
				g.flood(40 * time.Second)
			case n%500 == 0:
				r.Judge([]Finding{{Source: "shop-db", Transaction: fmt.Sprint(80_000 + n), EventID: fmt.Sprint(n), Stream: "shop-db/public.orders", Rule: "total-adds-up", Actual: "1", Expected: "2"}})
			case n%1000 == 1:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapInuse)
			}
			if n == soakTransactions/2 { // a pause in which what is waiting may be told, and then a burst at once
				time.Sleep(time.Minute)
			}
			time.Sleep(pause)
		}
		time.Sleep(5 * time.Minute)
		r.stop()
		if err := client.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		shown, summed := g.counted()
		if shown+summed != soakTransactions || len(r.Left()) != 0 {
			t.Errorf("%d shown and %d summed up of %d; left: %+v", shown, summed, soakTransactions, r.Left())
		}
		if r.counted(t, "shown") != shown || r.counted(t, "summed_up") != summed || r.counted(t, "dropped") != 0 {
			t.Errorf("the metric says %d, %d, %d", r.counted(t, "shown"), r.counted(t, "summed_up"), r.counted(t, "dropped"))
		}
		if g.floods > 0 {
			t.Errorf("%d floods of our own making", g.floods)
		}
		if g.ignored > 5 { // each flood is met once: nobody can know of it before
			t.Errorf("sent %d times in spite of a 429", g.ignored-5)
		}
		if most > soakMemory {
			t.Errorf("%d MB of memory", most>>20)
		}
		t.Logf("%d messages: %d shown, %d summed up; %d MB of memory", len(g.texts), shown, summed, most>>20)
	})
}
