package mongodb

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
	"go.uber.org/goleak"

	"datawatch/collector/internal/source"
	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/mongodb"
)

// The connection is cut again and again while documents are written; a run that gives up is followed by another.
func TestCutConnectionsLoseAndRepeatNothing(t *testing.T) {
	s, c := newShop(t, testrig.MongoDB(t)), newCapture()
	l := newLink(t, hostOf(t, s.uri))
	cfg := s.config("*")
	cfg.URI = config.Secret(through(s.uri, l.addr()))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			_ = New(Options{Name: "shop-mongo", Config: cfg, Reporter: c}).Run(ctx, c.copyProgress(), c.Emit)
		}
	}()
	testrig.Eventually(t, patience, func() error {
		if len(c.copyProgress()[entry]) == 0 {
			return fmt.Errorf("not begun")
		}
		return nil
	})
	var n int
	for begun := time.Now(); time.Since(begun) < testrig.Soak(); {
		for range 20 {
			s.insert(t, "carts", doc("_id", n), doc("_id", n+1))
			n += 2
		}
		mend := l.cut()
		time.Sleep(rand.N(30 * time.Millisecond)) //nolint:gosec // any will do
		mend()
	}
	events := c.await(t, n)
	cancel()
	<-ended
	if len(events) != n {
		t.Fatalf("%d events of %d", len(events), n)
	}
	for i, e := range events {
		if want := fmt.Sprintf(`{"_id":%d}`, i); string(e.Change.Key) != want {
			t.Fatalf("event %d is of %s", i, e.Change.Key)
		}
	}
}

// The server is killed, and the source goes on from its token once it is back.
func TestKilledServerLosesNothing(t *testing.T) {
	server := testrig.PrivateMongoDB(t, mongodb.Options{Arguments: []string{"--sync-on-commit"}})
	s, c := newShop(t, server.URI()), newCapture()
	cfg := s.config("*")
	cfg.URI = config.Secret(with(s.uri, "serverSelectionTimeoutMS", "1000"))
	stop := c.run(t, cfg)
	s.insert(t, "carts", doc("_id", 1))
	c.await(t, 1)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = stop()
	s.insert(t, "carts", doc("_id", 2))
	c.run(t, s.config("*"))
	s.insert(t, "carts", doc("_id", 3))
	expect(t, c.await(t, 3), `insert carts {"_id":1}  -> {"_id":1}`, `insert carts {"_id":2}  -> {"_id":2}`, `insert carts {"_id":3}  -> {"_id":3}`)
}

// failNext has the server's next command of that name fail; a server without test commands skips the test.
func failNext(t testing.TB, s *shop, command string, how bson.D) {
	t.Helper()
	data := append(bson.D{{Key: "failCommands", Value: bson.A{command}}}, how...)
	err := s.client.Database("admin").RunCommand(t.Context(), doc("configureFailPoint", "failCommand", "mode", doc("times", 1), "data", data)).Err()
	if err != nil {
		t.Skipf("no fail points here: %v", err)
	}
}

func TestServersErrorsAreSurvived(t *testing.T) {
	for name, how := range map[string]bson.D{
		"interrupted at shutdown": doc("errorCode", 11600, "errorLabels", bson.A{"ResumableChangeStreamError"}),
		"not primary any more":    doc("errorCode", 10107, "errorLabels", bson.A{"ResumableChangeStreamError"}),
		"cursor killed":           doc("errorCode", 43),
		"connection closed":       doc("closeConnection", true),
	} {
		t.Run(name, func(t *testing.T) {
			s, c := newShop(t, testrig.MongoDB(t)), newCapture()
			cfg := s.config("*")
			cfg.URI = config.Secret(with(s.uri, "heartbeatFrequencyMS", "500")) // a server here doesn't tell at once what it is again
			c.run(t, cfg)
			s.insert(t, "carts", doc("_id", 1))
			c.await(t, 1)
			failNext(t, s, "getMore", how)
			s.insert(t, "carts", doc("_id", 2))
			s.insert(t, "carts", doc("_id", 3))
			expect(t, c.await(t, 3), `insert carts {"_id":1}  -> {"_id":1}`, `insert carts {"_id":2}  -> {"_id":2}`, `insert carts {"_id":3}  -> {"_id":3}`)
			if len(c.gaps) > 0 {
				t.Errorf("gaps %v", c.gaps)
			}
		})
	}
}

// An open stream that the oplog overtook, and one that is opened too late.
func TestLostHistoryIsAGap(t *testing.T) {
	t.Run("while it is read", func(t *testing.T) {
		s, c := newShop(t, testrig.MongoDB(t)), newCapture()
		s.insert(t, "carts", doc("_id", 1))
		c.run(t, s.config("*"))
		failNext(t, s, "getMore", doc("errorCode", 286))
		c.await(t, 1)
		s.insert(t, "carts", doc("_id", 2))
		expect(t, c.await(t, 2), "gap carts", `insert carts {"_id":2}  -> {"_id":2}`)
	})
	t.Run("while nobody read", func(t *testing.T) {
		server := testrig.PrivateMongoDB(t, mongodb.Options{Arguments: []string{"--oplog-max-entries", "50"}})
		s, c := newShop(t, server.URI()), newCapture()
		stop := c.run(t, s.config("*"))
		s.insert(t, "carts", doc("_id", -1))
		c.await(t, 1)
		_ = stop()
		var docs []any
		for i := range 5_000 { // the server trims its oplog now and then
			docs = append(docs, doc("_id", i))
		}
		s.insert(t, "carts", docs...)
		c.run(t, s.config("*"))
		s.insert(t, "carts", doc("_id", "new"))
		expect(t, c.await(t, 3), `insert carts {"_id":-1}  -> {"_id":-1}`, "gap carts", `insert carts {"_id":"new"}  -> {"_id":"new"}`)
		if len(c.gaps) != 1 || c.gaps[0] != gapHistoryLost {
			t.Errorf("gaps %v", c.gaps)
		}
	})
}

// Another deployment behind the same address, whose oplog isn't as far.
func TestDeploymentThatIsBehindIsAGap(t *testing.T) {
	s, c := newShop(t, testrig.MongoDB(t)), newCapture()
	s.insert(t, "carts", doc("_id", 1))
	_ = c.run(t, s.config("*"))()
	var p progress
	if err := json.Unmarshal(c.progress[entry], &p); err != nil {
		t.Fatal(err)
	}
	p.At.T += 3600
	c.progress, _ = p.source()
	c.run(t, s.config("*"))
	s.insert(t, "carts", doc("_id", 2))
	expect(t, c.await(t, 2), "gap carts", `insert carts {"_id":2}  -> {"_id":2}`)
	if len(c.gaps) != 1 || c.gaps[0] != gapRewound {
		t.Errorf("gaps %v", c.gaps)
	}
}

func TestServerThatStandsAloneIsTold(t *testing.T) {
	server := testrig.PrivateMongoDB(t, mongodb.Options{Standalone: true})
	var c Config
	c.SetDefaults()
	c.URI, c.Collections = config.Secret(server.URI()), []string{"shop.*"}
	s := New(Options{Name: "shop-mongo", Config: c, Reporter: newCapture()})
	findings := s.Check(t.Context())
	if last := findings[len(findings)-1]; last.Err == nil || last.Remedy == "" {
		t.Errorf("%+v", findings)
	}
	if err := s.Run(t.Context(), source.Progress{}, newCapture().Emit); err == nil {
		t.Error("it ran")
	}
}

// An event of more than 16 MiB comes in parts.
func TestEventInPartsIsOne(t *testing.T) {
	fragment := func(n, of int, members ...any) bson.Raw {
		raw, err := bson.Marshal(append(doc("_id", doc("_data", fmt.Sprint(n)), "splitEvent", doc("fragment", n, "of", of)), doc(members...)...))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	s := New(Options{Name: "shop-mongo", Config: Config{Collections: []string{"shop.*"}}, Reporter: newCapture()})
	b := (&reader{Source: s}).newBatch()
	whole, err := b.add(fragment(1, 2, "operationType", "insert", "ns", doc("db", "shop", "coll", "carts"), "documentKey", doc("_id", 1)))
	if whole || err != nil || len(b.pending) != 0 {
		t.Fatal(whole, err)
	}
	b = (&reader{Source: s}).newBatchBehind(b)
	whole, err = b.add(fragment(2, 2, "clusterTime", stampOf(7, 1), "fullDocument", doc("_id", 1, "n", 2)))
	if !whole || err != nil || len(b.pending) != 1 {
		t.Fatal(whole, err)
	}
	if h := b.pending[0]; h.ns.String() != "shop.carts" || h.after.Lookup("n").Int32() != 2 {
		t.Errorf("%+v", h)
	}
}

// An update with the images of before and after, 27 MiB in all, is sent in parts, as a second stream like the source's sees
// (https://www.mongodb.com/docs/manual/reference/operator/aggregation/changeStreamSplitLargeEvent/).
func TestLargeEventsComeThrough(t *testing.T) {
	s, c := newShop(t, testrig.MongoDB(t)), newCapture()
	s.preImages(t, "carts")
	d, err := ask(t.Context(), s.client)
	if err != nil {
		t.Fatal(err)
	}
	if !d.atLeast(6, 0, 9) {
		t.Skip("the server is older than 6.0.9: it sends no event of more than 16 MiB")
	}
	big := func(b byte) string { return strings.Repeat(string(b), 9<<20) }
	s.insert(t, "carts", doc("_id", 1, "n", big('a')))
	src := New(Options{Name: "shop-mongo", Config: s.config("carts"), Reporter: c})
	if d, err = ask(t.Context(), s.client); err != nil {
		t.Fatal(err)
	}
	beside, err := src.watch(t.Context(), s.client, d, begin(time.Now(), "", d.now))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = beside.Close(context.WithoutCancel(t.Context())) }()
	c.run(t, s.config("carts"))
	s.update(t, "carts", 1, doc("$set", doc("n", big('b'))))
	u := c.await(t, 1)[0].Change
	if u.Op != event.Update || string(u.Before) != `{"_id":1,"n":"`+big('a')+`"}` || string(u.After) != `{"_id":1,"n":"`+big('b')+`"}` || u.Incomplete != nil {
		t.Errorf("%s of %s with %d and %d bytes, %+v", u.Op, u.Key, len(u.Before), len(u.After), u.Incomplete)
	}
	for part := int64(1); ; part++ {
		if !beside.Next(t.Context()) {
			t.Fatal(beside.Err())
		}
		fragment, _ := beside.Current.Lookup("splitEvent", "fragment").AsInt64OK()
		of, _ := beside.Current.Lookup("splitEvent", "of").AsInt64OK()
		if fragment != part || of < 2 {
			t.Fatalf("the server sent part %d of %d as the %d.", fragment, of, part)
		}
		if part == of {
			break
		}
	}
}

func TestStoppedSourceLeavesNothingRunning(t *testing.T) {
	s, c := newShop(t, testrig.MongoDB(t)), newCapture()
	s.insert(t, "carts", doc("_id", 1))
	ignored := goleak.IgnoreCurrent() // the server's and its writer's
	stop := c.run(t, s.config("*"))
	s.insert(t, "carts", doc("_id", 2))
	c.await(t, 1)
	_ = stop()
	_ = s.client.Disconnect(context.Background()) // its pool grew meanwhile
	testrig.NothingRuns(t, ignored)
	client, err := mongo.Connect(context.Background(), options.Client().ApplyURI(s.uri))
	if err != nil {
		t.Fatal(err)
	}
	s.client, s.db = client, client.Database(s.db.Name())
}
