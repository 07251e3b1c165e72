package mongodb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
	"go.mongodb.org/mongo-driver/mongo/options"

	"datawatch/collector/internal/source"
	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

func (c *capture) account(t *testing.T) *backfill.Account {
	t.Helper()
	a, err := backfill.Parse(c.copyProgress())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (c *capture) awaitEnded(t *testing.T, id string) *backfill.Job {
	t.Helper()
	var job *backfill.Job
	testrig.Eventually(t, patience, func() error {
		if job = c.account(t).Job(id); job == nil || job.Ended.IsZero() {
			return fmt.Errorf("snapshot %s: %v", id, job)
		}
		return nil
	})
	return job
}

// TestSnapshotReadsEachDocumentOnce: _ids of whatever types, in chunks of three; each comes once, and a second run of the
// source doesn't read them again.
func TestSnapshotReadsEachDocumentOnce(t *testing.T) {
	s := newShop(t, testrig.MongoDB(t))
	var docs []any
	for i := range 20 {
		docs = append(docs, bson.D{{Key: "_id", Value: i}, {Key: "v", Value: "old"}})
	}
	for _, id := range []any{"a", "b", int64(1 << 40), 1.5, primitive.NewObjectID(), true, bson.D{{Key: "k", Value: 1}}, primitive.NewDateTimeFromTime(time.Now())} {
		docs = append(docs, bson.D{{Key: "_id", Value: id}, {Key: "v", Value: "old"}})
	}
	if _, err := s.db.Collection("carts").InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	if err := s.db.CreateCollection(t.Context(), "empty"); err != nil {
		t.Fatal(err)
	}
	cfg := s.config("*")
	cfg.Snapshot = snapshotInitial
	c := newCapture()
	stop := c.run(t, cfg)
	job := c.awaitEnded(t, backfill.InitialID)
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if len(job.Parts) != 2 || len(job.Problems()) != 0 {
		t.Errorf("%+v", job)
	}
	keys := map[string]int{}
	for _, e := range c.await(t, len(docs)) {
		if e.Change.Op != event.Read || e.Change.Incomplete != nil {
			t.Errorf("%s of %s, %+v", e.Change.Op, e.Change.Key, e.Change.Incomplete)
		}
		keys[string(e.Change.Key)]++
	}
	if len(keys) != len(docs) {
		t.Errorf("%d keys of %d documents: %v", len(keys), len(docs), keys)
	}
	stop = c.run(t, cfg)
	if _, err := s.db.Collection("carts").InsertOne(t.Context(), bson.D{{Key: "_id", Value: "last"}}); err != nil {
		t.Fatal(err)
	}
	events := c.await(t, len(docs)+1)
	_ = stop()
	if last := events[len(events)-1].Change; len(events) != len(docs)+1 || last.Op != event.Insert {
		t.Errorf("%d events, the last %s", len(events), last.Op)
	}
}

// TestSnapshotUnderWritesHasNoOlderImageBehindANewerOne: snapshots are read chunk by chunk while documents are written,
// deleted and written again, and the source is killed at random. The number that each write gives its document never falls,
// and replaying all gives the collection.
func TestSnapshotUnderWritesHasNoOlderImageBehindANewerOne(t *testing.T) {
	s := newShop(t, testrig.MongoDB(t))
	carts := s.db.Collection("carts")
	const ids = 300
	var number atomic.Int64
	var docs []any
	for i := range ids {
		docs = append(docs, bson.D{{Key: "_id", Value: i}, {Key: "v", Value: number.Add(1)}})
	}
	if _, err := carts.InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	cfg := s.config("carts")
	cfg.Snapshot, cfg.SnapshotRate = snapshotInitial, 0
	c := newCapture()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	writing, stopWriting := context.WithTimeout(t.Context(), testrig.Soak())
	var writers sync.WaitGroup
	defer func() { stopWriting(); writers.Wait() }()
	for w := range 3 {
		writers.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			for writing.Err() == nil {
				id := w + 3*rng.IntN(ids/3) // one writer a document: its numbers are in the order of its writes
				var err error
				switch rng.IntN(4) {
				case 0:
					_, err = carts.DeleteOne(writing, bson.D{{Key: "_id", Value: id}})
				case 1:
					_, err = carts.UpdateOne(writing, bson.D{{Key: "_id", Value: id}}, bson.D{{Key: "$set", Value: bson.D{{Key: "v", Value: number.Add(1)}}}})
				default:
					_, err = carts.ReplaceOne(writing, bson.D{{Key: "_id", Value: id}}, bson.D{{Key: "v", Value: number.Add(1)}}, options.Replace().SetUpsert(true))
				}
				if err != nil && !errors.Is(err, context.DeadlineExceeded) && writing.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	rng := rand.New(rand.NewPCG(seed, 99))
	asked := 0
	run := func(d time.Duration) {
		end := time.Now().Add(d)
		ctx, cancel := context.WithDeadline(t.Context(), end)
		defer cancel()
		src := New(Options{Name: "shop-mongo", Config: cfg, Reporter: c})
		src.limits.await, src.limits.idle, src.limits.chunk, src.limits.events = 50*time.Millisecond, 0, int64(5+rng.IntN(60)), 1+rng.IntN(50)
		requests := make(chan source.SnapshotRequest, 1)
		if a := c.account(t); len(a.Jobs) == 0 && a.Initial {
			asked++
			requests <- source.SnapshotRequest{ID: fmt.Sprint(asked), At: time.Now(), Replace: rng.IntN(2) == 0, Next: int64(asked)}
		}
		src.TakeSnapshots(requests)
		emits := 0
		fails := 10 + rng.IntN(100)
		err := src.Run(ctx, c.copyProgress(), func(ctx context.Context, b source.Batch) error {
			if emits++; emits == fails {
				return errDown
			}
			if err := c.Emit(ctx, b); err != nil || emits+1 != fails {
				return err
			}
			return errDown // it was committed, and the source doesn't hear of it
		})
		if time.Now().Before(end) && !errors.Is(err, errDown) {
			t.Fatalf("run ended with %v", err)
		}
	}
	for writing.Err() == nil {
		run(time.Duration(200+rng.IntN(1200)) * time.Millisecond)
	}
	writers.Wait()
	stop := c.run(t, cfg)
	if _, err := carts.InsertOne(t.Context(), bson.D{{Key: "_id", Value: "done"}, {Key: "v", Value: number.Add(1)}}); err != nil {
		t.Fatal(err)
	}
	looked, done := 0, false
	testrig.WhileMoving(t, time.Minute, func() (int, error) {
		a := c.account(t)
		c.mu.Lock()
		defer c.mu.Unlock()
		for ; looked < len(c.events); looked++ {
			done = done || string(c.events[looked].Key) == `{"_id":"done"}`
		}
		if len(a.Jobs) > 0 || !done {
			return looked, fmt.Errorf("not at the end after %d events: %v", looked, a.Jobs)
		}
		return looked, nil
	})
	_ = stop()
	c.checkReplay(t, s)
	t.Logf("%d snapshots", len(c.account(t).Ended))
}

var errDown = errors.New("the broker is away")

// checkReplay replays the events of carts in the order of their positions, and compares with the collection.
func (c *capture) checkReplay(t *testing.T, s *shop) {
	t.Helper()
	if !slices.IsSortedFunc(c.events, func(a, b event.Raw) int { return strings.Compare(a.Position(), b.Position()) }) {
		t.Error("positions don't ascend")
	}
	newest, state, reads := map[string]int64{}, map[string]int64{}, 0
	for _, raw := range c.events {
		d, err := event.ParseDocumentChange(raw.Value)
		if err != nil {
			t.Fatal(err)
		}
		key := string(raw.Key)
		if d.Op == event.Delete {
			delete(state, key)
			continue
		}
		v, ok := d.After.Lookup("v").AsInt64OK()
		if !ok { // the document was gone when it was looked up
			continue
		}
		later := d.Incomplete.After != ""
		if _, known := state[key]; v < newest[key] || d.Op == event.Read && !known && v == newest[key] {
			t.Fatalf("%s of %s with number %d behind number %d", d.Op, key, v, newest[key])
		}
		if d.Op == event.Read {
			reads++
		}
		if !later {
			newest[key] = v
		}
		state[key] = v
	}
	cursor, err := s.db.Collection("carts").Find(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{}
	for cursor.Next(t.Context()) {
		v, _ := cursor.Current.Lookup("v").AsInt64OK()
		id := cursor.Current.Lookup("_id")
		key := fmt.Sprintf(`{"_id":%q}`, id.String())
		if n, ok := id.AsInt64OK(); ok {
			key = fmt.Sprintf(`{"_id":%d}`, n)
		} else if text, ok := id.StringValueOK(); ok {
			key = fmt.Sprintf(`{"_id":%q}`, text)
		}
		want[key] = v
	}
	if !maps.Equal(want, state) {
		t.Errorf("%d documents, %d by replay", len(want), len(state))
	}
	t.Logf("%d events, %d of them read", len(c.events), reads)
}
