package feed

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
	"datawatch/pkg/telegram"
)

func cleanOf(t *testing.T, r event.Raw) *event.Clean {
	t.Helper()
	events, err := normalize.New(normalize.Options{}).Events(t.Context(), &r)
	if err != nil {
		t.Fatal(err)
	}
	return events[0]
}

func TestFollowMeansWhatItSays(t *testing.T) {
	id := []string{"id"}
	order := did{tick: 1, n: 1, table: "orders", op: event.Update, key: id, tx: "7", app: "order-service", tag: "checkout-test",
		before: `{"id":1042,"user_id":42,"total":5,"address":{"city":"Huế"}}`, after: `{"id":1042,"user_id":42,"total":2000000,"address":{"city":"Vinh"}}`}.raw()
	foreign := did{tick: 1, n: 2, table: "crm.orders", op: event.Insert, key: id, after: `{"id":1,"user_id":"42"}`, tx: "7"}.raw()
	record := recorded("orders.paid", 0, 1, []byte("k"), []byte(`{"user_id": 43}`))
	for text, want := range map[string][]bool{ // of order, foreign, record
		"orders":                              {true, true, false},
		"public.orders":                       {true, false, false},
		"shop-db/public.orders":               {true, false, false},
		"orders.*":                            {false, false, true},
		"orders user_id=42":                   {true, true, false},
		"orders user_id=4":                    {false, false, false},
		"user_id=43":                          {false, false, true},
		"orders address.city=Huế":             {true, false, false},
		"orders key=1042":                     {true, false, false},
		"tag=checkout-test":                   {true, false, false},
		"app=order-service user=app":          {true, false, false},
		"source=shop-kafka":                   {false, false, true},
		"op=insert":                           {false, true, false},
		"orders after.total > 1000000":        {true, false, false},
		"orders after.total>9000000":          {false, false, false},
		"old.total < self.total":              {true, false, false},
		"user_id=42 after.total == 2e6":       {true, false, false},
		"orders after.address.city == 'Vinh'": {true, false, false},
	} {
		f, err := ParseFollow(text, "@linh", at)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []bool
		for _, r := range []event.Raw{order, foreign, record} {
			got = append(got, f.matches(t.Context(), cleanOf(t, r)))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestFollowLivesAsLongAsItSays(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"orders": 8 * time.Hour, "orders for 90m": 90 * time.Minute, "orders user_id=42 for 2h": 2 * time.Hour, "tag=x for 7d": 7 * 24 * time.Hour,
	} {
		f, err := ParseFollow(text, "@linh", at)
		if err != nil || !f.Until.Equal(at.Add(want)) || strings.Contains(f.Text, "for") {
			t.Errorf("%s: %+v, %v", text, f, err)
		}
	}
}

func TestFollowThatIsWrongSaysWhat(t *testing.T) {
	for text, want := range map[string]string{
		"": "what?", "[orders": "not a table", "orders for 8d": "at most 7 days", "orders after.total >": "", "orders nope.total > 1": "nope",
	} {
		if f, err := ParseFollow(text, "@linh", at); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v", text, f, err)
		}
	}
}

func follow(t *testing.T, r *running, chat telegram.Chat, text string) {
	t.Helper()
	f, err := ParseFollow(text, "@linh", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Follow(chat, f); err != nil {
		t.Fatal(err)
	}
}

func purchase(tick int64, user int) []event.Raw {
	tx := fmt.Sprint(100 + tick)
	return []event.Raw{
		did{tick: tick, n: 1, table: "orders", op: event.Insert, key: []string{"id"}, after: fmt.Sprintf(`{"id":%d,"user_id":%d}`, tick, user), tx: tx}.raw(),
		did{tick: tick, n: 2, table: "payments", op: event.Insert, key: []string{"id"}, after: fmt.Sprintf(`{"id":%d,"amount":5}`, 900+tick), tx: tx}.raw(),
	}
}

func TestFollowerIsShownTheTransactionsOfOneUserWholeAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 0, nil)
		defer r.stop()
		follow(t, r, telegram.Chat{}, "orders user_id=42 for 1h") // the feed's own chat is narrowed by it
		for tick := range int64(20) {
			r.Offer(purchase(tick, 40+int(tick)%5))
		}
		time.Sleep(time.Second)
		got, _ := r.chat.told()
		if len(got) != 4 {
			t.Fatalf("told: %q", got)
		}
		for _, m := range got {
			if !strings.Contains(m, "user_id 42") || !strings.Contains(m, "amount 5") {
				t.Errorf("told: %s", m)
			}
		}
		time.Sleep(time.Hour)
		r.Offer(purchase(50, 7))
		time.Sleep(time.Second)
		if got, _ := r.chat.told(); len(got) != 5 {
			t.Errorf("behind its time to live: %q", got[4:])
		}
	})
}

// A chat that follows is shown its own within a second while the feed of everything only counts.
func TestFollowerDoesntWaitForTheFeedOfEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 3*time.Second, nil)
		defer r.stop()
		mine := &chat{}
		everything := r.chat
		r.options.Sender = byChat{telegram.Chat{}: everything, telegram.Chat{ID: -7, Thread: 3}: mine}
		follow(t, r, telegram.Chat{ID: -7, Thread: 3}, "orders user_id=42")
		for tick := range int64(500) {
			r.Offer(purchase(tick, 1))
			time.Sleep(10 * time.Millisecond)
		}
		began := time.Now()
		r.Offer(purchase(501, 42))
		for tick := range int64(100) {
			r.Offer(purchase(502+tick, 1))
			time.Sleep(10 * time.Millisecond)
		}
		got, times := mine.told()
		if len(got) != 1 || !strings.Contains(got[0], "user_id 42") || !strings.Contains(got[0], "payments") {
			t.Fatalf("told: %q", got)
		}
		if took := times[0].Sub(began); took > 500*time.Millisecond {
			t.Errorf("told after %s", took)
		}
	})
}

func TestRowThatIsFollowedIsAmongThoseShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 0, nil)
		defer r.stop()
		follow(t, r, telegram.Chat{}, "wallets owner=linh")
		var events []event.Raw
		for n := range int64(300) {
			owner := "somebody"
			if n >= 290 {
				owner = "linh"
			}
			events = append(events, did{tick: 1, n: n, table: "wallets", op: event.Insert, key: []string{"id"}, after: fmt.Sprintf(`{"id":%d,"owner":%q}`, n, owner), tx: "7"}.raw())
		}
		r.Offer(events)
		time.Sleep(time.Second)
		got, _ := r.chat.told()
		if len(got) != 1 || strings.Count(got[0], "owner linh") != maxRows || strings.Contains(got[0], "somebody") || !strings.Contains(got[0], "and +295 more") {
			t.Errorf("told: %q", got)
		}
	})
}

func TestPausedChatIsToldTheNumbersAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 0, nil)
		defer r.stop()
		r.Pause(telegram.Chat{}, time.Now().Add(10*time.Minute))
		r.Offer(purchase(1, 1))
		time.Sleep(time.Minute)
		r.Offer(purchase(2, 1))
		time.Sleep(8 * time.Minute)
		if got, _ := r.chat.told(); len(got) != 0 {
			t.Fatalf("told in the pause: %q", got)
		}
		time.Sleep(2 * time.Minute)
		if got, _ := r.chat.told(); len(got) != 1 || !strings.Contains(got[0], "2 transactions") {
			t.Errorf("told: %q", got)
		}
	})
}

func TestFollowingOutlivesTheFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := run(t, 0, nil)
		defer first.stop()
		chat := telegram.Chat{ID: -7}
		follow(t, first, chat, "orders after.user_id == 42")
		follow(t, first, chat, "tag=x for 5m")
		second := run(t, 0, nil)
		defer second.stop()
		time.Sleep(10 * time.Minute)
		if err := second.Adopt(first.Following(chat)); err != nil {
			t.Fatal(err)
		}
		if got := second.Following(chat).Follows; len(got) != 1 || got[0].Text != "orders after.user_id == 42" {
			t.Fatalf("%+v", got)
		}
		second.Offer(purchase(1, 42))
		time.Sleep(time.Second)
		if got, _ := second.chat.told(); len(got) != 2 { // here and in the chat of everything
			t.Errorf("told: %q", got)
		}
		if n := second.Unfollow(chat, ""); n != 1 {
			t.Errorf("unfollowed %d", n)
		}
		follow(t, second, chat, "payments")
		if err := second.Adopt(Following{Version: 1, Chat: chat}); err != nil || len(second.Following(chat).Follows) != 0 {
			t.Errorf("what was unfollowed elsewhere is followed here: %v", err)
		}
	})
}
