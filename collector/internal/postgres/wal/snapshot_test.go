package wal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"datawatch/collector/internal/postgres"
	"datawatch/collector/internal/source"
	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/pkg/testrig/model"
)

// ask has the next run of the source take a snapshot.
func (r *rig) ask(stream event.Stream) (id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := int64(len(r.requested) + 1)
	id = strconv.FormatInt(n, 10)
	r.requested = append(r.requested, source.SnapshotRequest{ID: id, Stream: stream, At: time.Now(), Next: n})
	return id
}

// askReplacing has it end each stream before.
func (r *rig) askReplacing(stream event.Stream) (id string) {
	id = r.ask(stream)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requested[len(r.requested)-1].Replace = true
	return id
}

func (r *rig) account() *backfill.Account {
	r.t.Helper()
	a, err := backfill.Parse(r.progress())
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

// requests are those that weren't taken, as whoever reads the control topic finds them.
func (r *rig) requests() <-chan source.SnapshotRequest {
	a := r.account()
	requests := make(chan source.SnapshotRequest, 100)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range r.requested {
		if q.Next > a.Control {
			requests <- q
		}
	}
	return requests
}

func (r *rig) awaitEnded(id string) *backfill.Job {
	r.t.Helper()
	var job *backfill.Job
	testrig.Eventually(r.t, 60*time.Second, func() error {
		if job = r.account().Job(id); job == nil {
			return fmt.Errorf("snapshot %s isn't known", id)
		} else if job.Ended.IsZero() {
			return fmt.Errorf("snapshot %s: %s", id, job)
		}
		return nil
	})
	return job
}

// reads are the rows of a table that were told as read, in order.
func (r *rig) reads(table string) (lines []string) {
	for _, line := range briefs(r.t, r.captured()) {
		if strings.HasPrefix(line, table+" read ") {
			lines = append(lines, strings.TrimPrefix(line, table+" read "))
		}
	}
	return lines
}

// TestSnapshotReadsWhatIsThere: of an idle database, each row once, by whatever key, as to_json prints it, generated columns
// too; a partition tree is one stream.
func TestSnapshotReadsWhatIsThere(t *testing.T) {
	for _, version := range []string{"", "13", "18"} {
		t.Run("PostgreSQL"+version, func(t *testing.T) {
			r := newRigOn(t, databaseOn(t, version),
				`create table a (id int primary key, v text, twice int generated always as (id * 2) stored); insert into a select g, 'v' || g from generate_series(1, 10) g`,
				`create table by_identity (a int primary key, b int not null); create unique index chosen on by_identity (b);
				alter table by_identity replica identity using index chosen; insert into by_identity values (1, 2), (2, 1)`,
				`create table keyless (v text); insert into keyless values ('x'), ('x')`,
				`create table p (id int primary key) partition by range (id); create table p_1 partition of p for values from (0) to (10);
				create table p_2 partition of p for values from (10) to (20); insert into p values (1), (2), (11)`)
			r.config.Snapshot = "initial"
			r.limits.chunkRows = 3
			stop := r.start()
			job := r.awaitEnded(backfill.InitialID)
			_ = stop()
			if problems := job.Problems(); len(problems) > 0 {
				t.Error(problems)
			}
			var rows []string
			for id := range 10 {
				rows = append(rows, fmt.Sprintf(`{"id":%d} after {"id":%[1]d,"v":"v%[1]d","twice":%d}`, id+1, 2*id+2))
			}
			for table, want := range map[string][]string{
				"public.a":           rows,
				"public.by_identity": {`{"b":2} after {"a":1,"b":2}`, `{"b":1} after {"a":2,"b":1}`},
				"public.keyless":     {`- after {"v":"x"}`, `- after {"v":"x"}`},
				"public.p":           {`{"id":1} after {"id":1}`, `{"id":2} after {"id":2}`, `{"id":11} after {"id":11}`},
			} {
				if got := r.reads(table); !slices.Equal(got, want) {
					t.Errorf("%s: read\n\t%s\nwant\n\t%s", table, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
				}
			}
			replay(t, slices.DeleteFunc(r.captured(), func(e event.Raw) bool { return e.Key == nil }), true)
			stop = r.start()
			r.exec(`insert into a values (99, 'live')`)
			r.await(18)
			_ = stop()
			if again := r.account(); len(again.Jobs) != 0 || len(again.Ended) != 1 {
				t.Errorf("the initial snapshot was asked for again: %+v", again)
			}
		})
	}
}

// TestASnapshotSaysWhereUpdatesMeanwhileAreMissing: no event tells of a row that moves to where was read already.
func TestASnapshotSaysWhereUpdatesMeanwhileAreMissing(t *testing.T) {
	r := newRig(t, `create table keyed (id int primary key)`, `create table whole (v int); alter table whole replica identity full`,
		`create table keyless (v int)`, `create table nothing (id int primary key); alter table nothing replica identity nothing`,
		`create table p (id int primary key) partition by range (id); create table p_1 partition of p for values from (0) to (10)`,
		`create table q (id int) partition by range (id); create table q_1 partition of q for values from (0) to (10);
		create table q_2 partition of q (primary key (id)) for values from (10) to (20)`)
	r.config.Snapshot = "initial"
	stop := r.start()
	job := r.awaitEnded(backfill.InitialID)
	_ = stop()
	var got []string
	for _, p := range job.Parts {
		note, _, _ := strings.Cut(p.Note, ":")
		got = append(got, strings.TrimSpace(p.Stream.Entity()+" "+note))
	}
	slices.Sort(got)
	const without = " without a usable replica identity"
	if want := []string{"public.keyed", "public.keyless" + without, "public.nothing" + without, "public.p", "public.q", "public.q" + without, "public.whole without a key"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestASnapshotWithoutTheRightIsSaid: reading the WAL needs no SELECT, reading rows does.
func TestASnapshotWithoutTheRightIsSaid(t *testing.T) {
	r := newRig(t, `create table hidden (id int primary key); insert into hidden values (1)`, `create table plain (id int primary key); insert into plain values (1)`)
	reader := fmt.Sprintf("reader_%d", time.Now().UnixNano())
	r.exec(`create role ` + reader + ` login replication password 'x'; grant select on plain to ` + reader)
	t.Cleanup(func() {
		if db := r.session0(); db != nil {
			defer func() { _ = db.Close(context.Background()) }()
			_, _ = db.Exec(context.Background(), "drop owned by "+reader)
			_, _ = db.Exec(context.Background(), "drop role "+reader)
		}
	})
	r.config.InstallDSN, r.config.DSN = r.config.DSN, r.as(reader)
	for snapshot, told := range map[string]bool{"never": false, "initial": true} {
		r.config.Snapshot = snapshot
		if text := findingsText(r.source().Check(t.Context())); strings.Contains(text, "snapshot:  ERROR the role "+reader+" may not read public.hidden:") != told ||
			strings.Contains(text, "(grant select on public.hidden to "+reader+",") != told {
			t.Errorf("snapshot: %s: check says %s", snapshot, text)
		}
	}
	r.config.Snapshot = "never"
	id := r.ask("")
	stop := r.start()
	job := r.awaitEnded(id)
	_ = stop()
	if problems := strings.Join(job.Problems(), "\n"); !strings.Contains(problems, "hidden: permission denied") || !strings.Contains(problems, "SELECT") || strings.Contains(problems, "plain") {
		t.Errorf("problems: %s", problems)
	}
	expect(t, r.captured(), `public.plain read {"id":1} after {"id":1}`)
}

// TestARowThatIsChangedWhileItsChunkWaitsIsNotToldAsItWas: a transaction that had committed when the chunk was read, and
// that the chunk's snapshot didn't see, is told before it.
func TestARowThatIsChangedWhileItsChunkWaitsIsNotToldAsItWas(t *testing.T) {
	r := &reader{Source: &Source{name: "shop-db", now: time.Now, options: Options{MaxRecordBytes: 1 << 20}, reporter: silent{}}, batch: &batch{}, p: progress{LSN: 100, Epoch: "e"}}
	var err error
	r.snapshots, err = postgres.NewWalker("shop-db", postgres.Config{}, postgres.Options{}).Tracker(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.snapshots.AddPart("one", time.Now(), &backfill.Part{Stream: "shop-db/public.t"})
	rel := &relation{streamSchema: "public", streamTable: "t", key: []string{"id"}, shape: []event.Column{{Name: "id", Type: "integer"}, {Name: "v", Type: "text"}}}
	if err := rel.complete("shop-db"); err != nil {
		t.Fatal(err)
	}
	r.chunk = &chunk{rel: rel, lsn: 200, gone: map[string]bool{}, keys: []string{`{"id":1}`, `{"id":2}`}, Chunk: &postgres.Chunk{
		Rows: []postgres.WalkedRow{{Row: []byte(`{"id":1,"v":"old"}`)}, {Row: []byte(`{"id":2,"v":"old"}`)}}, Done: true,
	}}
	r.tx = &transaction{lsn: 150, xid: "7", wide: 7}
	updated := []change{{op: event.Update, key: []byte(`{"id":1}`), after: []byte(`{"id":1,"v":"new"}`)}}
	r.overtakes(rel, updated)
	r.add(rel, updated[0])
	r.tx, r.p.LSN = nil, 160
	r.land(r.p.LSN)
	expect(t, r.batch.events, `public.t update {"id":1} after {"id":1,"v":"new"}`)
	r.land(200)
	expect(t, r.batch.events, `public.t update {"id":1} after {"id":1,"v":"new"}`, `public.t read {"id":2} after {"id":2,"v":"old"}`)
	if r.batch.also == nil || r.snapshots.Job() != nil {
		t.Error("the account isn't committed with the rows")
	}
}

// TestSnapshotUnderWritesGivesTheTables: snapshots are read while several sessions write whatever they like, and the
// collector is stopped and its broker fails at random. No image that is read is older than one before it, and replaying all
// gives each table exactly, also rows that were there before capture.
func TestSnapshotUnderWritesGivesTheTables(t *testing.T) {
	r := newRig(t, append(slices.Clone(model.DDL), model.Identities,
		`insert into a select g, 'old' from generate_series(0, 399) g; insert into b select g, 'old' from generate_series(0, 399) g;
		insert into k select g, 'old' from generate_series(0, 399) g; insert into p select g, 'old' from generate_series(0, 99) g;
		insert into kids select g, 'old', g from generate_series(0, 399) g`)...)
	r.install()
	r.config.Snapshot, r.config.SnapshotRate = "initial", 0
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var mu sync.Mutex
	r.fail = func(int) (bool, bool) {
		mu.Lock()
		defer mu.Unlock()
		n := rng.IntN(100)
		return n == 0, n == 1
	}
	writing, stopWriting := context.WithTimeout(t.Context(), testrig.Soak())
	var writers sync.WaitGroup
	defer func() { stopWriting(); writers.Wait() }()
	for i := range 4 {
		db := r.session()
		writers.Go(func() {
			if err := (model.Writer{Bulk: 400}).Run(writing, db, rand.New(rand.NewPCG(seed, uint64(i+1)))); err != nil {
				t.Error(err)
			}
		})
	}
	for writing.Err() == nil {
		if a := r.account(); len(a.Jobs) == 0 && a.Initial {
			ask := []func(event.Stream) string{r.ask, r.askReplacing}[rng.IntN(2)]
			ask([]event.Stream{"", r.stream("a"), r.stream("p")}[rng.IntN(3)])
		}
		r.limits.batchEvents, r.limits.chunkRows = 50+rng.IntN(500), 20+rng.IntN(200)
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(500+rng.IntN(2000))*time.Millisecond)
		err := r.source().Run(ctx, r.progress(), r.emit)
		if late := ctx.Err(); late == nil && !errors.Is(err, errBroker) {
			t.Fatalf("run ended with %v", err)
		}
		cancel()
	}
	writers.Wait()
	mu.Lock()
	r.fail = nil
	mu.Unlock()
	r.ask("")
	r.limits = defaultLimits
	r.exec(`insert into a values (-1, 'done')`)
	stop := r.start()
	testrig.Eventually(t, time.Minute, func() error {
		if jobs := r.account().Jobs; len(jobs) > 0 {
			return fmt.Errorf("snapshot %s", jobs[0])
		}
		return nil
	})
	r.exec(`update a set v = 'over' where id = -1`)
	r.awaitLast(func(e event.Raw) bool { return string(e.Key) == `{"id":-1}` && rowChange(t, e).Op == event.Update })
	_ = stop()
	events := r.captured()
	r.holds(replay(t, events, true))
	t.Logf("%d events, %d snapshots", len(events), len(r.requested)+1)
}

func (r *rig) stream(table string) event.Stream {
	return event.StreamOf(r.sourceName(), event.TableEntity("public", table))
}

// TestASnapshotThatReplacesEndsTheStreamFirst, by capture from the WAL.
func TestASnapshotThatReplacesEndsTheStreamFirst(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`, `create table other (id int primary key)`,
		`create table p (id int primary key) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`, `create table p_2 partition of p for values from (10) to (20)`)
	r.install()
	stop := r.start()
	r.exec(`insert into t values (1), (2); insert into other values (1); insert into p values (1), (11)`)
	r.await(5)
	r.exec(`begin; alter publication ` + r.source().names.all + ` drop table t; delete from t where id = 1; commit`)
	_ = stop()
	id := r.askReplacing("")
	stop = r.start()
	r.awaitEnded(id)
	_ = stop()
	r.expectOf("public.other", `insert {"id":1} after {"id":1}`, `truncate - reason snapshot`, `read {"id":1} after {"id":1}`)
	r.expectOf("public.p", `insert {"id":1} after {"id":1}`, `insert {"id":11} after {"id":11}`, `truncate - reason snapshot`, `read {"id":1} after {"id":1}`, `read {"id":11} after {"id":11}`)
	if got := r.of("public.t"); len(got) < 4 || got[len(got)-2] != `truncate - reason snapshot` || got[len(got)-1] != `read {"id":2} after {"id":2}` {
		t.Errorf("of public.t %q", got)
	}
}

// TestAPartitionTreeWithoutPartitionsIsReplacedByNothing, as by triggers.
func TestAPartitionTreeWithoutPartitionsIsReplacedByNothing(t *testing.T) {
	r := newRig(t, `create table p (id int) partition by range (id)`, `create table p_1 partition of p for values from (0) to (10)`)
	r.install()
	stop := r.start()
	r.exec(`insert into p values (1)`)
	r.await(1)
	r.exec(`alter table p detach partition p_1`)
	r.compared()
	_ = stop()
	id := r.askReplacing(r.stream("p"))
	stop = r.start()
	if problems := r.awaitEnded(id).Problems(); len(problems) > 0 {
		t.Error(problems)
	}
	_ = stop()
	if got := r.of("public.p"); len(got) == 0 || got[len(got)-1] != `truncate - reason snapshot` {
		t.Errorf("of public.p %q", got)
	}
}
