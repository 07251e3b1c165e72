package wrongrows

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"testing"

	"datawatch/pkg/event"
)

const orders = event.Stream("shop-db/public.orders")

// TestCountsFollowWhateverStands compares with a plain map, over a random walk.
func TestCountsFollowWhateverStands(t *testing.T) {
	rows, model := New(), map[string]map[string]event.Severity{}
	random := rand.New(rand.NewPCG(3, 4))
	rules := []string{"schema", "a", "b"}
	severities := []event.Severity{event.Info, event.Warning, event.Critical}
	for range 5000 {
		key := fmt.Sprintf("%s\n{\"id\":%d}", orders, random.IntN(50))
		partition := int32(len(key) % 2)
		want := map[string]event.Severity{}
		var standing []Standing
		for _, i := range random.Perm(len(rules))[:random.IntN(len(rules)+1)] {
			s := Standing{rules[i], severities[random.IntN(len(severities))]}
			standing, want[s.Rule] = append(standing, s), s.Severity
		}
		rows.Set(partition, orders, []byte(key), "sha", standing)
		model[key] = want
		got := map[string]event.Severity{}
		for _, s := range stands(rows, partition, key) {
			got[s.Rule] = s.Severity
		}
		if !maps.Equal(got, want) {
			t.Fatalf("%s stands by %v, want %v", key, got, want)
		}
	}
	counts := map[Label]int{}
	for _, standing := range model {
		for rule, severity := range standing {
			counts[Label{orders, rule, severity}]++
		}
	}
	if got := rows.Counts(); !maps.Equal(got, counts) {
		t.Errorf("counts %v, want %v", got, counts)
	}
}

func stands(rows *Rows, partition int32, key string) []Standing {
	standing, _ := rows.Standing(partition, []byte(key))
	return standing
}

func TestRowsThatStandByAnotherVersionOfTheFileAreKnown(t *testing.T) {
	rows := New()
	by := func(sha string) func(event.Stream) string { return func(event.Stream) string { return sha } }
	outdated := func(want bool, sha string) {
		t.Helper()
		if got := rows.Outdated(by(sha)); (len(got) == 1) != want {
			t.Errorf("outdated against %s: %v", sha, got)
		}
	}
	standing := []Standing{{"schema", event.Warning}}
	rows.Set(0, orders, []byte("a"), "v1", standing)
	rows.Set(1, orders, []byte("b"), "v2", standing)
	outdated(true, "v2")
	rows.Set(0, orders, []byte("a"), "v2", standing)
	outdated(false, "v2")
	rows.Outdate(orders)
	outdated(true, "v2")
	rows.Set(0, orders, []byte("a"), "v2", standing)
	outdated(true, "v2")
	rows.Set(1, orders, []byte("b"), "v2", nil)
	outdated(false, "v2")
	if n := rows.Counts()[Label{orders, "schema", event.Warning}]; n != 1 {
		t.Errorf("%d rows", n)
	}
}

func TestKeySurvivesTheWayThroughTheTopic(t *testing.T) {
	for _, row := range []string{"shop-db/public.orders\n{\"id\":1}", "shop-kafka/t\n#3", "a/b\n\"x y\""} {
		key, stream, rule, err := ParseKey(Key([]byte(row), "total-adds-up"))
		if err != nil || string(key) != row || rule != "total-adds-up" || stream == "" {
			t.Errorf("%q came out as %q, %q, %q, %v", row, key, stream, rule, err)
		}
	}
	for _, bad := range []string{"", "shop-db/public.orders", "shop-db/public.orders\nrule"} {
		if _, _, _, err := ParseKey([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestAMillionWrongRowsFitIntoSixtyFourMegabytes holds the bound of memory.
func TestAMillionWrongRowsFitIntoSixtyFourMegabytes(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	rows := New()
	standing := []Standing{{"schema", event.Warning}}
	for i := range 1_000_000 {
		rows.Set(int32(i%6), orders, fmt.Appendf(nil, "%s\n{\"id\":%d}", orders, i), "sha", standing)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > 64<<20 {
		t.Errorf("%d MiB", used>>20)
	}
	runtime.KeepAlive(rows)
}
