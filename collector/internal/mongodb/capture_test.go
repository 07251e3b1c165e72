package mongodb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/normalize"
	"datawatch/pkg/reason"
	"datawatch/pkg/testrig"
)

const patience = 2 * time.Minute

// capture plays the broker and the reporter.
type capture struct {
	mu       sync.Mutex
	events   []event.Raw
	progress source.Progress
	gaps     []string
	states   []source.State
	emits    int
	fail     func(n int) error // before the n-th emit commits
}

func newCapture() *capture { return &capture{progress: source.Progress{}} }

func (c *capture) Emit(_ context.Context, b source.Batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.emits++
	if c.fail != nil {
		if err := c.fail(c.emits); err != nil {
			return err
		}
	}
	c.events = append(c.events, b.Events...)
	for k, v := range b.Progress {
		c.progress[k] = v
	}
	return nil
}

func (c *capture) State(s source.State, _ reason.Text) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.states = append(c.states, s)
}

func (c *capture) Lag(float64) {}

func (c *capture) Backlog(int64) {}

func (c *capture) Gap(cause string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gaps = append(c.gaps, cause)
}

func (c *capture) copyProgress() source.Progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.progress)
}

// run runs a source until stop is called, which gives how it ended. It returns when the source streams.
func (c *capture) run(t *testing.T, cfg Config) (stop func() error) {
	t.Helper()
	c.mu.Lock()
	c.states = nil
	c.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	s := New(Options{Name: "shop-mongo", Config: cfg, Reporter: c})
	s.limits.await, s.limits.idle, s.limits.chunk = 100*time.Millisecond, 0, 3
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, c.copyProgress(), c.Emit) }()
	t.Cleanup(cancel)
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	testrig.Eventually(t, patience, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.states) == 0 || c.states[len(c.states)-1] != source.Streaming {
			return fmt.Errorf("not streaming: %v", c.states)
		}
		return nil
	})
	return stop
}

// await gives the first n events, cleaned, once they are there.
func (c *capture) await(t *testing.T, n int) []*event.Clean {
	t.Helper()
	testrig.WhileMoving(t, time.Minute, func() (far int, err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if far = len(c.events); far < n {
			err = fmt.Errorf("%d of %d events", far, n)
		}
		return far, err
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	var clean []*event.Clean
	last := ""
	for _, raw := range c.events {
		if p := raw.Position(); p <= last {
			t.Errorf("position %s is not behind %s", p, last)
		} else {
			last = p
		}
		events, err := normalize.New(normalize.Options{}).Events(t.Context(), &raw)
		if err != nil {
			t.Fatalf("event %s: %v", raw.ID, err)
		}
		clean = append(clean, events...)
	}
	return clean
}

// told is an event in a line: op, collection, key, before, after, what is incomplete, reason.
func told(e *event.Clean) string {
	if e.Gap != nil {
		return "gap " + e.Stream.Entity()[strings.LastIndexByte(e.Stream.Entity(), '.')+1:]
	}
	c := e.Change
	text := fmt.Sprintf("%s %s %s %s -> %s", c.Op, c.Origin.Collection, c.Key, c.Before, c.After)
	if c.Op == event.Update {
		text += fmt.Sprint(" ", c.Changed)
	}
	if i := c.Incomplete; i != nil {
		text += fmt.Sprintf(" incomplete %s/%s", i.Before, i.After)
	}
	if c.Origin.Reason != "" {
		text += " reason " + c.Origin.Reason
	}
	return text
}

func expect(t *testing.T, events []*event.Clean, want ...string) {
	t.Helper()
	var got []string
	for _, e := range events {
		got = append(got, told(e))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("captured\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (s *shop) do(t testing.TB, f func(ctx context.Context) error) {
	t.Helper()
	if err := f(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (s *shop) insert(t testing.TB, collection string, docs ...any) {
	t.Helper()
	_, err := s.db.Collection(collection).InsertMany(t.Context(), docs)
	if err != nil {
		t.Fatal(err)
	}
}

func (s *shop) update(t testing.TB, collection string, id any, change bson.D) {
	t.Helper()
	if _, err := s.db.Collection(collection).UpdateByID(t.Context(), id, change); err != nil {
		t.Fatal(err)
	}
}

func doc(members ...any) bson.D {
	var d bson.D
	for i := 0; i < len(members); i += 2 {
		d = append(d, bson.E{Key: members[i].(string), Value: members[i+1]})
	}
	return d
}

func TestEveryChangeOfADocumentIsCaptured(t *testing.T) {
	s, c := newShop(t, testrig.MongoDB(t)), newCapture()
	stop := c.run(t, s.config("*"))
	carts := s.db.Collection("carts")
	s.insert(t, "carts", doc("_id", 1, "a", doc("b", 1)))
	c.await(t, 1)
	s.update(t, "carts", 1, doc("$set", doc("a.b", 2), "$unset", doc("none", 1)))
	c.await(t, 2) // before it is replaced, or the lookup would find that
	s.do(t, func(ctx context.Context) error { return carts.FindOneAndReplace(ctx, doc("_id", 1), doc("x", 2)).Err() })
	c.await(t, 3)
	s.do(t, func(ctx context.Context) error { return carts.FindOneAndDelete(ctx, doc("_id", 1)).Err() })
	expect(t, c.await(t, 4),
		`insert carts {"_id":1}  -> {"_id":1,"a":{"b":1}}`,
		`update carts {"_id":1}  -> {"_id":1,"a":{"b":2}} [a] incomplete unavailable/`,
		`update carts {"_id":1}  -> {"_id":1,"x":2} [] incomplete unavailable/`,
		`delete carts {"_id":1}  ->  incomplete unavailable/`)
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestImagesBeforeAreCapturedWhereTheyAreKept(t *testing.T) {
	s, c := newShop(t, testrig.MongoDB(t)), newCapture()
	s.preImages(t, "carts")
	s.insert(t, "carts", doc("_id", 1, "n", 1))
	c.run(t, s.config("carts"))
	s.update(t, "carts", 1, doc("$set", doc("n", 2)))
	c.await(t, 1)
	s.do(t, func(ctx context.Context) error {
		return s.db.Collection("carts").FindOneAndDelete(ctx, doc("_id", 1)).Err()
	})
	expect(t, c.await(t, 2),
		`update carts {"_id":1} {"_id":1,"n":1} -> {"_id":1,"n":2} [n]`,
		`delete carts {"_id":1} {"_id":1,"n":2} -> `)
}

// preImages makes a collection that keeps them; servers before 6.0 don't.
func (s *shop) preImages(t testing.TB, collection string) {
	t.Helper()
	d, err := ask(t.Context(), s.client)
	if err != nil {
		t.Fatal(err)
	}
	if !d.atLeast(6, 0) {
		t.Skip("the server is older than 6.0: it keeps no pre-images")
	}
	s.do(t, func(ctx context.Context) error {
		return s.db.RunCommand(ctx, doc("create", collection, "changeStreamPreAndPostImages", doc("enabled", true))).Err()
	})
}

func TestPreImagesAreSwitchedOnWhereTheyAreManaged(t *testing.T) {
	s, c := newShop(t, testrig.MongoDB(t)), newCapture()
	s.preImages(t, "skipped before 6.0")
	s.insert(t, "there", doc("_id", 1, "n", 1))
	cfg := s.config("*")
	cfg.ManagePreImages = true
	c.run(t, cfg)
	s.update(t, "there", 1, doc("$set", doc("n", 2)))
	if got := told(c.await(t, 1)[0]); got != `update there {"_id":1} {"_id":1,"n":1} -> {"_id":1,"n":2} [n]` {
		t.Error(got)
	}
	s.insert(t, "new", doc("_id", 1, "n", 1))
	src := New(Options{Name: "shop-mongo", Config: cfg, Reporter: c})
	testrig.Eventually(t, patience, func() error {
		d, err := ask(t.Context(), s.client)
		if err == nil && !src.keepsPreImages(t.Context(), s.client, d, namespace{s.db.Name(), "new"}) {
			err = errors.New("pre-images are not switched on")
		}
		return err
	})
	s.update(t, "new", 1, doc("$set", doc("n", 2)))
	if got := told(c.await(t, 3)[2]); got != `update new {"_id":1} {"_id":1,"n":1} -> {"_id":1,"n":2} [n]` {
		t.Error(got)
	}
}

// What was written while nobody read is looked up when it is read: by then it has changed.
func TestALookedUpDocumentThatIsLaterSaysSo(t *testing.T) {
	s, c := newShop(t, testrig.MongoDB(t)), newCapture()
	stop := c.run(t, s.config("*"))
	_ = stop()
	s.insert(t, "carts", doc("_id", 1, "n", 1, "m", 1), doc("_id", 2))
	s.update(t, "carts", 1, doc("$set", doc("n", 2)))
	s.update(t, "carts", 1, doc("$set", doc("m", 2)))
	s.update(t, "carts", 1, doc("$set", doc("n", 3)))
	s.update(t, "carts", 2, doc("$set", doc("n", 1)))
	s.do(t, func(ctx context.Context) error {
		return s.db.Collection("carts").FindOneAndDelete(ctx, doc("_id", 2)).Err()
	})
	c.run(t, s.config("*"))
	expect(t, c.await(t, 7),
		`insert carts {"_id":1}  -> {"_id":1,"n":1,"m":1}`,
		`insert carts {"_id":2}  -> {"_id":2}`,
		`update carts {"_id":1}  -> {"_id":1,"n":3,"m":2} [n] incomplete unavailable/later`,
		`update carts {"_id":1}  -> {"_id":1,"n":3,"m":2} [m] incomplete unavailable/later`,
		`update carts {"_id":1}  -> {"_id":1,"n":3,"m":2} [n] incomplete unavailable/`,
		`update carts {"_id":2}  ->  [n] incomplete unavailable/missing`,
		`delete carts {"_id":2}  ->  incomplete unavailable/`)
}

func TestOnlySelectedCollectionsAreCaptured(t *testing.T) {
	s, c := newShop(t, testrig.MongoDB(t)), newCapture()
	cfg := s.config("order*")
	cfg.Exclude = []string{"*.order?tmp"}
	c.run(t, cfg)
	s.insert(t, "carts", doc("_id", 1))
	s.insert(t, "order.tmp", doc("_id", 2))
	s.insert(t, "order.items", doc("_id", 3))
	s.insert(t, "orders", doc("_id", 4))
	expect(t, c.await(t, 2), `insert order.items {"_id":3}  -> {"_id":3}`, `insert orders {"_id":4}  -> {"_id":4}`)
}

func TestSeveralDatabasesAreOneStream(t *testing.T) {
	s, c := newShop(t, testrig.MongoDB(t)), newCapture()
	other := newShop(t, s.uri)
	cfg := s.config("*")
	cfg.Collections = append(cfg.Collections, other.config("a").Collections...)
	c.run(t, cfg)
	s.insert(t, "a", doc("_id", 1))
	other.insert(t, "a", doc("_id", 2))
	events := c.await(t, 2)
	expect(t, events, `insert a {"_id":1}  -> {"_id":1}`, `insert a {"_id":2}  -> {"_id":2}`)
	if d := events[1].Change.Origin.Database; d != other.db.Name() {
		t.Errorf("database %s, not %s", d, other.db.Name())
	}
}

func TestEventsOfATransactionShareItsID(t *testing.T) {
	s, c := newShop(t, testrig.MongoDB(t)), newCapture()
	s.insert(t, "carts", doc("_id", 0)) // a collection made in a transaction needs 4.4
	c.run(t, s.config("*"))
	session, err := s.client.StartSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.EndSession(context.Background())
	s.do(t, func(ctx context.Context) error {
		_, err := session.WithTransaction(ctx, func(ctx mongo.SessionContext) (any, error) {
			if _, err := s.db.Collection("carts").InsertOne(ctx, doc("_id", 1)); err != nil {
				return nil, err
			}
			return s.db.Collection("carts").InsertOne(ctx, doc("_id", 2))
		})
		return err
	})
	s.insert(t, "carts", doc("_id", 3))
	events := c.await(t, 3)
	a, b, alone := events[0].Change.Origin, events[1].Change.Origin, events[2].Change.Origin
	if a.Transaction == "" || a.Transaction != b.Transaction || a.TransactionIndex != 0 || b.TransactionIndex != 1 || alone.Transaction != "" {
		t.Errorf("%q %d, %q %d, %q", a.Transaction, a.TransactionIndex, b.Transaction, b.TransactionIndex, alone.Transaction)
	}
}

func TestDropsAreTruncates(t *testing.T) {
	s, c := newShop(t, testrig.MongoDB(t)), newCapture()
	stop := c.run(t, s.config("*"))
	s.insert(t, "carts", doc("_id", 1))
	s.insert(t, "orders", doc("_id", 1))
	s.do(t, s.db.Collection("carts").Drop)
	c.await(t, 3)
	s.do(t, s.db.Drop) // and the stream is invalidated
	c.await(t, 4)
	s.insert(t, "orders", doc("_id", 2))
	events := c.await(t, 5)
	reason := events[3].Change.Origin.Reason // drop, says the manual
	expect(t, events,
		`insert carts {"_id":1}  -> {"_id":1}`, `insert orders {"_id":1}  -> {"_id":1}`,
		`truncate carts   ->  reason drop`, `truncate orders   ->  reason `+reason, `insert orders {"_id":2}  -> {"_id":2}`)
	_ = stop()
	c.run(t, s.config("*"))
	s.insert(t, "orders", doc("_id", 3))
	if got := told(c.await(t, 6)[5]); got != `insert orders {"_id":3}  -> {"_id":3}` {
		t.Error(got)
	}
}

// The reads of a renamed collection are cut off behind each chunk, and go on.
func TestRenamedCollectionIsTruncatedAndRead(t *testing.T) {
	s, c := newShop(t, testrig.MongoDB(t)), newCapture()
	var docs []any
	for i := range 4 {
		docs = append(docs, doc("_id", i), doc("_id", fmt.Sprintf("k%d", i)))
	}
	s.insert(t, "old", docs...)
	_ = c.run(t, s.config("*"))()
	s.do(t, func(ctx context.Context) error {
		return s.client.Database("admin").RunCommand(ctx, doc("renameCollection", s.db.Name()+".old", "to", s.db.Name()+".new")).Err()
	})
	cut := errors.New("cut")
	count := func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.events)
	}
	for n := 1; count() < 10; n++ {
		if n > 20 {
			t.Fatalf("%d events", count())
		}
		c.mu.Lock()
		c.emits, c.fail = 0, func(n int) error {
			if n > 1 {
				return cut
			}
			return nil
		}
		c.mu.Unlock()
		src := New(Options{Name: "shop-mongo", Config: s.config("*"), Reporter: c})
		src.limits.chunk = 3
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_ = src.Run(ctx, c.copyProgress(), func(ctx context.Context, b source.Batch) error {
			err := c.Emit(ctx, b)
			if count() == 10 {
				cancel() // nothing is left that could be cut off
			}
			return err
		})
		cancel()
	}
	expect(t, c.await(t, 10),
		`truncate old   ->  reason rename`, `truncate new   ->  reason rename`,
		`read new {"_id":0}  -> {"_id":0}`, `read new {"_id":1}  -> {"_id":1}`, `read new {"_id":2}  -> {"_id":2}`, `read new {"_id":3}  -> {"_id":3}`,
		`read new {"_id":"k0"}  -> {"_id":"k0"}`, `read new {"_id":"k1"}  -> {"_id":"k1"}`, `read new {"_id":"k2"}  -> {"_id":"k2"}`, `read new {"_id":"k3"}  -> {"_id":"k3"}`)
}

func TestTokenThatIsWorthNothingIsAGap(t *testing.T) {
	s := newShop(t, testrig.MongoDB(t))
	s.insert(t, "carts", doc("_id", 1))
	s.insert(t, "orders", doc("_id", 1))
	c := newCapture()
	_ = c.run(t, s.config("*"))()
	var p progress
	if err := json.Unmarshal(c.progress[entry], &p); err != nil {
		t.Fatal(err)
	}
	before := p.Epoch
	p.Token, _ = bson.Marshal(doc("_data", "no token"))
	c.progress, _ = p.source()

	cfg := s.config("*")
	cfg.OnGap = gapStop
	err := New(Options{Name: "shop-mongo", Config: cfg, Reporter: c}).Run(t.Context(), c.copyProgress(), c.Emit)
	if _, ok := errors.AsType[*source.StoppedError](err); !ok || len(c.gaps) > 0 {
		t.Fatalf("on_gap: stop ended with %v", err)
	}

	c.run(t, s.config("*"))
	c.await(t, 2)
	s.insert(t, "carts", doc("_id", 2))
	events := c.await(t, 3)
	expect(t, events, "gap carts", "gap orders", `insert carts {"_id":2}  -> {"_id":2}`)
	if len(c.gaps) != 1 || c.gaps[0] != gapToken {
		t.Errorf("gaps %v", c.gaps)
	}
	if err := json.Unmarshal(c.progress[entry], &p); err != nil || p.Epoch <= before {
		t.Errorf("epoch %s behind %s, %v", p.Epoch, before, err)
	}
	if g := events[0].Gap; g.Remedy == "" || g.From.After(g.To) || !strings.Contains(g.Cause, gapToken) {
		t.Errorf("%+v", g)
	}
}

func TestTokenOfAnIdleStreamIsCommitted(t *testing.T) {
	s, c := newShop(t, testrig.MongoDB(t)), newCapture()
	other := newShop(t, s.uri)
	c.run(t, s.config("*"))
	token := func() string {
		c.mu.Lock()
		defer c.mu.Unlock()
		var p progress
		_ = json.Unmarshal(c.progress[entry], &p)
		return string(p.Token)
	}
	testrig.Eventually(t, patience, func() error {
		if token() == "" {
			return errors.New("no token yet")
		}
		return nil
	})
	first := token()
	other.insert(t, "elsewhere", doc("_id", 1))
	testrig.Eventually(t, patience, func() error {
		if token() == first {
			return errors.New("the token stays")
		}
		return nil
	})
	if len(c.await(t, 0)) > 0 {
		t.Error("an event of a collection that isn't captured")
	}
}

func TestCheckTellsWhatIsThere(t *testing.T) {
	s := newShop(t, testrig.MongoDB(t))
	s.insert(t, "carts", doc("_id", 1))
	for _, f := range New(Options{Name: "shop-mongo", Config: s.config("*"), Reporter: newCapture()}).Check(t.Context()) {
		t.Log(f)
		if f.Err != nil {
			t.Errorf("%s: %v", f.What, f.Err)
		}
	}
	cfg := s.config("*")
	cfg.URI = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200"
	findings := New(Options{Name: "shop-mongo", Config: cfg, Reporter: newCapture()}).Check(t.Context())
	if len(findings) != 1 || findings[0].Err == nil || findings[0].Remedy == "" {
		t.Errorf("nobody listens: %+v", findings)
	}
}
