package feed

import (
	"strings"
	"testing"
	"time"

	"datawatch/pkg/event"
)

func TestButtonSaysWhatItStandsForInWhatTelegramCarries(t *testing.T) {
	far := time.Date(2286, 1, 1, 0, 0, 0, 1, time.UTC)
	for _, w := range []Whole{
		{First: at, Last: at.Add(time.Second), Until: at.Add(time.Minute), Changes: 1_500_000_000, mark: markOf(name{"shop-db", "81422"})},
		{First: at, Last: far, Until: far, Changes: 1 << 40},
		{First: at, Last: at, Until: at, Followed: true},
	} {
		data := w.Action()
		if len(data) > 64 {
			t.Errorf("%q has %d bytes", data, len(data))
		}
		got, err := ParseWhole(strings.Fields(data)[1:])
		if err != nil {
			t.Fatal(err)
		}
		if got.First.After(w.First) || got.Last.Before(w.Last) || got.Until.Before(w.Until) || got.Changes != w.Changes || got.Followed != w.Followed || got.mark != w.mark {
			t.Errorf("%q became %+v", data, got)
		}
	}
	for _, about := range []string{"", "t 1 2 3 4", "d 1 2 3 4 5", "d 1 2 3 -4", "d 1 2 3 !", "x 1 2 3 4", "d 1 2 3"} {
		if w, err := ParseWhole(strings.Fields(about)); err == nil {
			t.Errorf("%q is taken for %+v", about, w)
		}
	}
}

func TestWholeIsWhatTheMessageWasAbout(t *testing.T) {
	change := func(source, transaction string, captured time.Time, op event.Op) *event.Clean {
		return &event.Clean{
			ID: source + "/1", Stream: event.StreamOf(source, "public.orders"), Type: event.ChangeType,
			Change: &event.Change{Op: op, CapturedAt: captured, Origin: event.Origin{Transaction: transaction}},
		}
	}
	one := Whole{First: at, Last: at, mark: markOf(name{"shop-db", "7"})}
	record := Whole{First: at, Last: at, mark: markOf(name{"shop-kafka", "shop-kafka/1"})}
	many := Whole{First: at, Last: at.Add(time.Second)}
	for _, c := range []struct {
		whole Whole
		event *event.Clean
		want  bool
	}{
		{one, change("shop-db", "7", at, event.Insert), true},
		{one, change("shop-db", "8", at, event.Insert), false},
		{one, change("other-db", "7", at, event.Insert), false},
		{one, change("shop-db", "7", at, event.Read), false},
		{record, change("shop-kafka", "", at, event.Message), true},
		{record, change("other-kafka", "", at, event.Message), false},
		{many, change("shop-db", "8", at.Add(time.Second), event.Insert), true},
		{many, change("shop-db", "8", at.Add(2*time.Second), event.Insert), false},
		{many, change("shop-db", "8", at.Add(-time.Second), event.Insert), false},
	} {
		if got := c.whole.Wants(c.event); got != c.want {
			t.Errorf("%s of transaction %q: %v", c.event.ID, c.event.Change.Origin.Transaction, got)
		}
	}
}
