package feed

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/hide"
)

// learned is a Hidden that learns when the test says so.
type learned struct {
	known chan struct{}
	set   *hide.Set
}

func newLearned() *learned { return &learned{make(chan struct{}), hide.Everything()} }

func (l *learned) learn(t *testing.T, files ...hide.File) {
	t.Helper()
	set, err := hide.NewSet(files)
	if err != nil {
		t.Fatal(err)
	}
	l.set = set
	close(l.known)
}

func (l *learned) Known() <-chan struct{} { return l.known }

func (l *learned) For(stream event.Stream) *hide.Places { return l.set.For(stream) }

func TestWhatXPIINamesIsNeverShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hidden := newLearned()
		hidden.learn(t, hide.File{Stream: "shop-db/public.users", Hide: []string{"/email", "/address/street"}},
			hide.File{Stream: "shop-kafka/users.*", Hide: []string{"/email"}})
		r := run(t, 0, func(o *Options) { o.Hidden = hidden })
		defer r.stop()
		id, mail := []string{"id"}, []string{"email"}
		r.Offer([]event.Raw{
			did{tick: 1, n: 1, table: "users", op: event.Insert, key: id, after: `{"id":1,"email":"ann@secret.io","address":{"street":"secret","city":"Hue"}}`, tx: "1"}.raw(),
			did{tick: 1, n: 2, table: "users", op: event.Update, key: id, before: `{"id":2,"email":"a@secret.io","n":1}`, after: `{"id":2,"email":"b@secret.io","n":1}`, tx: "1"}.raw(),
			did{tick: 1, n: 3, table: "users", op: event.Update, key: id, before: `{"id":3,"email":"a@secret.io","n":1}`, after: `{"id":3,"email":"a@secret.io","n":2}`, tx: "1"}.raw(),
			did{tick: 1, n: 4, table: "users", op: event.Delete, key: mail, before: `{"id":4,"email":"d@secret.io"}`, tx: "1"}.raw(),
			recorded("users.changed", 0, 1, []byte("e@secret.io"), []byte(`{"email":"e@secret.io","plan":"free"}`)),
		})
		time.Sleep(time.Second)
		got, _ := r.chat.told()
		all := strings.Join(got, "\n")
		if strings.Contains(all, "secret") {
			t.Errorf("told:\n%s", all)
		}
		for _, want := range []string{
			`users 1  + email •••, address {"street": "•••", "city": "Hue"}`,
			`users 2  email ••• → •••` + "\n",
			`users 3  n 1 → 2`,
			`users •••  − id 4`,
			"key ••• · partition 0, offset 1", `{"email": "•••", "plan": "free"}`,
		} {
			if !strings.Contains(all+"\n", want) {
				t.Errorf("no %q in:\n%s", want, all)
			}
		}
	})
}

func TestNothingIsShownBeforeItIsKnownWhatIsHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hidden := newLearned()
		r := run(t, 0, func(o *Options) { o.Hidden = hidden })
		defer r.stop()
		r.Offer([]event.Raw{insertOf(1, 1)})
		time.Sleep(hiddenPatience / 2)
		if got, _ := r.chat.told(); len(got) != 0 {
			t.Fatalf("told: %q", got)
		}
		hidden.learn(t)
		time.Sleep(time.Second)
		if got, _ := r.chat.told(); len(got) != 1 || !strings.Contains(got[0], "status new") {
			t.Errorf("told: %q", got)
		}
	})
}

func TestWhereItCantBeKnownNoValueIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 0, func(o *Options) { o.Hidden = newLearned() })
		defer r.stop()
		r.Offer([]event.Raw{insertOf(1, 1)})
		time.Sleep(hiddenPatience + time.Second)
		got, _ := r.chat.told()
		if len(got) != 1 || strings.Contains(got[0], "new") || !strings.Contains(got[0], "•••") || !strings.Contains(got[0], "orders") {
			t.Errorf("told: %q", got)
		}
	})
}
