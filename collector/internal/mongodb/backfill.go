package mongodb

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
	"go.mongodb.org/mongo-driver/mongo/readconcern"

	"datawatch/collector/internal/source"
	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/event"
)

var _ source.Snapshotter = (*Source)(nil)

// TakeSnapshots implements source.Snapshotter.
func (s *Source) TakeSnapshots(requests <-chan source.SnapshotRequest) { s.requests = requests }

func (s *Source) newTracker(committed source.Progress) (*backfill.Tracker, error) {
	return backfill.NewTracker(committed, backfill.Options{
		Initial: s.config.Snapshot == snapshotInitial, BytesPerSecond: int64(s.config.SnapshotRate),
		MaxRecordBytes: s.maxRecord, Requests: s.requests, Reporter: s.report, Log: s.log, Now: s.now,
	})
}

// chunk is what was read of a collection, and waits until the stream has passed the moment of the read. A document of which
// an event came meanwhile goes: the event has its state by right. Of the others no event lies between the read and where
// the stream is then, so what was read is what they are there.
type chunk struct {
	n     namespace
	docs  []found
	index map[string]int // by the bytes of _id
	until stamp          // the deployment's time when it had been read
	asked int64          // how many questions the stream had been asked by then
	done  bool           // it is the collection's last one
	size  int64
}

// pass takes away what the stream tells of itself. A nil chunk has nothing.
func (c *chunk) pass(events []*happening) {
	if c == nil {
		return
	}
	for _, h := range events {
		switch {
		case h.op == opDropDatabase && h.ns.database == c.n.database, (h.op == opDrop || h.op == opRename) && (h.ns == c.n || h.to == c.n):
			clear(c.index) // the collection is another one now, which is told from its beginning
		case h.ns == c.n:
			delete(c.index, idText(h.key))
		}
	}
}

func idText(key bson.Raw) string {
	id := key.Lookup("_id")
	return string([]byte{byte(id.Type)}) + string(id.Value)
}

// backfill does the next step of the snapshot at work, where there is one: it reads a chunk, or emits the one that was read
// once the stream has passed it. token is that of an idle stream, nil behind events.
func (r *reader) backfill(ctx context.Context, token bson.Raw) error {
	if r.chunk != nil {
		if !r.passed(token) {
			return nil
		}
		return r.emitChunk(ctx)
	}
	if job := r.snapshots.Job(); job != nil && r.snapshots.Due() {
		if err := r.step(ctx, job); err != nil {
			return err
		}
	}
	also, err := r.snapshots.Progress()
	if err != nil || also == nil {
		return err
	}
	return r.commit(ctx, r.p, nil, also)
}

// step plans the snapshot, or reads the next chunk.
func (r *reader) step(ctx context.Context, job *backfill.Job) error {
	if job.Began.IsZero() {
		parts, err := r.partsOf(ctx, job)
		if err != nil {
			return err
		}
		r.snapshots.Planned(parts)
		return nil
	}
	part := job.Current()
	database, collection, _ := strings.Cut(part.Place, ".")
	var last []byte
	if part.Cursor != nil {
		if err := json.Unmarshal(part.Cursor, &last); err != nil {
			return fmt.Errorf("read the cursor of a snapshot: %w", err)
		}
	}
	c := &chunk{n: namespace{database, collection}, index: map[string]int{}}
	// What only a minority of the members has may be undone, and then the stream never tells of it.
	source := r.client.Database(database).Collection(collection, options.Collection().SetReadConcern(readconcern.Majority()))
	var err error
	c.docs, c.done, err = r.ahead(ctx, source, last)
	var command mongo.CommandError
	if errors.As(err, &command) && command.Code == codeUnauthorized {
		r.snapshots.LeaveOut(command.Message)
		return nil
	}
	if err != nil {
		return fmt.Errorf("read collection %s: %w", c.n, err)
	}
	if r.snapshots.Replaces() { // it can be read, which is done once more behind the end
		return r.replace(ctx, c.n)
	}
	for i, d := range c.docs {
		c.index[idText(d.id)] = i
		c.size += int64(len(d.doc))
	}
	if c.until, err = clock(ctx, r.client); err != nil {
		return err
	}
	c.asked = r.intake.questions()
	r.chunk = c
	return nil
}

const codeUnauthorized = 13

// replace ends the stream of a collection that is to be read anew, before it is: what changes from here on is told, and behind that.
func (r *reader) replace(ctx context.Context, n namespace) error {
	b := &batch{r: r, next: r.p}
	end := b.truncate(&happening{op: backfill.ReasonReplaced, ns: n, at: b.next.At, time: r.p.At.time()}, n, r.now())
	r.snapshots.Replaced()
	also, err := r.snapshots.Progress()
	if err != nil {
		return err
	}
	return r.commit(ctx, b.next, []event.Raw{end}, also)
}

// passed tells whether the stream is behind the moment at which the chunk had been read. An event tells by its time. An idle
// stream tells by its token, which begins with the time up to which the oplog was searched (0x82, seconds, increment,
// big-endian); of several shards, another may still have an event of that very time. Where a server's tokens are of another
// kind, an answer without an event to a question that was asked behind the read says that there was none.
func (r *reader) passed(token bson.Raw) bool {
	until := r.chunk.until
	if until.before(r.p.At) {
		return true
	}
	if token == nil {
		return false
	}
	at, ok := tokenTime(token)
	switch {
	case r.deployment.sharded:
		return ok && until.before(at)
	default:
		return !ok || !at.before(until)
	}
}

func tokenTime(token bson.Raw) (stamp, bool) {
	text, ok := token.Lookup("_data").StringValueOK()
	if !ok || len(text) < 18 {
		return stamp{}, false
	}
	head, err := hex.DecodeString(text[:18])
	if err != nil || head[0] != 0x82 {
		return stamp{}, false
	}
	return stamp{binary.BigEndian.Uint32(head[1:5]), binary.BigEndian.Uint32(head[5:9])}, true
}

// emitChunk commits what is left of the chunk, behind all events so far.
func (r *reader) emitChunk(ctx context.Context) error {
	c := r.chunk
	r.chunk = nil
	b := &batch{r: r, next: r.p}
	var events []event.Raw
	now := r.now()
	for i, d := range c.docs {
		if at, ok := c.index[idText(d.id)]; ok && at == i {
			events = append(events, b.read(c.n, d, c.until.time(), now))
		}
	}
	var cursor json.RawMessage
	if n := len(c.docs); n > 0 {
		var err error
		if cursor, err = json.Marshal([]byte(c.docs[n-1].id)); err != nil {
			return err
		}
	}
	r.snapshots.Read(len(events), c.size, cursor, c.done)
	also, err := r.snapshots.Progress()
	if err != nil {
		return err
	}
	return r.commit(ctx, b.next, events, also)
}

// partsOf plans a snapshot: a part a collection.
func (r *reader) partsOf(ctx context.Context, job *backfill.Job) ([]*backfill.Part, error) {
	names, err := r.collections(ctx, r.client)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(names, func(a, b listing) int { return strings.Compare(a.String(), b.String()) })
	var parts []*backfill.Part
	for _, n := range names {
		if stream := r.stream(n.namespace); job.Wants(stream) {
			estimate, err := r.client.Database(n.database).Collection(n.collection).EstimatedDocumentCount(ctx)
			if err != nil {
				estimate = 0 // reading it will tell
			}
			parts = append(parts, &backfill.Part{Stream: stream, Place: n.String(), Estimate: estimate})
		}
	}
	return parts, nil
}

// clock is the deployment's time: behind everything that was read so far.
func clock(ctx context.Context, client *mongo.Client) (stamp, error) {
	raw, err := client.Database("admin").RunCommand(ctx, bson.D{{Key: "isMaster", Value: 1}}).Raw()
	if err != nil {
		return stamp{}, fmt.Errorf("ask for the time: %w", err)
	}
	var now stamp
	var ok bool
	if now.T, now.I, ok = raw.Lookup("operationTime").TimestampOK(); !ok {
		return stamp{}, errNoClock
	}
	return now, nil
}
