package wal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

// gapsOf are the gaps of a table that were told for a cause.
func (r *rig) gapsOf(table, cause string) (gaps []event.Gap) {
	r.t.Helper()
	for _, e := range r.captured() {
		var g event.Gap
		if e.Type != event.GapType || e.Stream.Entity() != table {
			continue
		}
		if err := json.Unmarshal(e.Value, &g); err != nil {
			r.t.Fatal(err)
		}
		if g.Cause == cause {
			gaps = append(gaps, g)
		}
	}
	return gaps
}

// awaitPutRight waits until everything is as it is to be.
func (r *rig) awaitPutRight() {
	r.t.Helper()
	testrig.Eventually(r.t, time.Minute, func() error {
		status, err := r.source().Status(r.t.Context())
		if err == nil && !status.Complete {
			err = fmt.Errorf("status %+v", status)
		}
		return err
	})
}

// TestWhatIsDoneToAPublicationIsPutRightAndAGap: whatever was written meanwhile may be missing, also where it was undone before
// anybody looked, and where no collector ran.
func TestWhatIsDoneToAPublicationIsPutRightAndAGap(t *testing.T) {
	for name, one := range map[string]struct {
		version int
		meddle  string // of {{all}} and {{inserts}}; the write comes in the middle
		undo    string
		spared  bool // the other table is none of it
	}{
		"table taken out":                {0, `alter publication {{all}} drop table du`, ``, true},
		"table taken out and put back":   {0, `alter publication {{all}} drop table du`, `alter publication {{all}} add table du`, true},
		"table in the other publication": {0, `alter publication {{all}} drop table du; alter publication {{inserts}} add table du`, ``, true},
		"operations left out":            {0, `alter publication {{all}} set (publish = 'insert')`, ``, false},
		"operations left out and put back": {0, `alter publication {{all}} set (publish = 'insert')`,
			`alter publication {{all}} set (publish = 'insert, update, delete, truncate')`, false},
		"partition root": {0, `alter publication {{all}} set (publish_via_partition_root = true)`, ``, false},
		"row filter":     {150000, `alter publication {{all}} drop table du; alter publication {{all}} add table du where (id > 5)`, ``, true},
		"column list":    {150000, `alter publication {{all}} set table t, du (id)`, ``, true},
		"schema":         {150000, `alter publication {{all}} set tables in schema public`, ``, false},
	} {
		for _, running := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, running %v", name, running), func(t *testing.T) {
				r := newRig(t, `create table t (id int primary key, v int)`, `create table du (id int primary key, v int)`)
				if r.version() < one.version {
					t.Skip("this server can't")
				}
				names := r.source().names
				sql := strings.NewReplacer("{{all}}", names.all, "{{inserts}}", names.inserts)
				r.install()
				r.exec(`insert into du values (1, 1)`)
				stop := r.start()
				r.await(1)
				if !running {
					_ = stop()
				}
				before := r.clock()
				r.exec(sql.Replace(one.meddle))
				r.exec(`update du set v = 2`)
				r.exec(sql.Replace(one.undo))
				after := r.clock()
				if !running {
					stop = r.start()
				}
				testrig.Eventually(t, time.Minute, func() error {
					if len(r.gapsOf("public.du", causeUnpublished)) == 0 {
						return fmt.Errorf("no gap in\n\t%s", strings.Join(briefs(t, r.captured()), "\n\t"))
					}
					return nil
				})
				r.awaitPutRight()
				r.exec(`update du set v = 3; insert into t values (1, 1)`)
				r.awaitLast(func(e event.Raw) bool { return strings.HasPrefix(brief(t, e), "public.t insert") })
				_ = stop()
				for _, g := range r.gapsOf("public.du", causeUnpublished) {
					if g.From.After(before) || g.To.Before(after) {
						t.Errorf("a gap from %s to %s, of what was done from %s to %s", g.From, g.To, before, after)
					}
				}
				got := briefs(t, r.captured())
				if want := `public.du update {"id":1} after {"id":1,"v":3} incomplete {"before":"unavailable"}`; !slices.Contains(got, want) {
					t.Errorf("no %s in\n\t%s", want, strings.Join(got, "\n\t"))
				}
				if spared := len(r.gapsOf("public.t", causeUnpublished)) == 0; spared != one.spared {
					t.Errorf("the other table was spared: %v", spared)
				}
			})
		}
	}
}

// TestAPublicationThatIsLeftAloneIsNoGap: what the collector and its event trigger do themselves isn't what somebody else does.
func TestAPublicationThatIsLeftAloneIsNoGap(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v int)`)
	r.install()
	stop := r.start()
	r.exec(`create table u (id int primary key, v int)`)
	r.awaitPublished("u", r.source().names.all)
	r.exec(`vacuum freeze pg_publication, pg_publication_rel`)
	r.exec(`insert into u values (1, 1)`)
	r.await(1)
	_ = stop()
	r.exec(`vacuum full pg_publication, pg_publication_rel`)
	r.exec(`create table w (id int primary key, v int); insert into t values (1, 1)`)
	stop = r.start()
	r.awaitPublished("w", r.source().names.all)
	r.exec(`insert into w values (1, 1)`)
	r.await(3)
	_ = stop()
	expect(t, r.captured(), `public.u insert {"id":1} after {"id":1,"v":1}`, `public.t insert {"id":1} after {"id":1,"v":1}`,
		`public.w insert {"id":1} after {"id":1,"v":1}`)
}

// TestAPublicationOfAPartitionTreeIsPutRight, of the root and of a partition that is published by itself.
func TestAPublicationOfAPartitionTreeIsPutRight(t *testing.T) {
	for _, version := range []string{"", "13", "18"} {
		t.Run("PostgreSQL"+version, func(t *testing.T) {
			r := newRigOn(t, databaseOn(t, version), `create table whole (id int primary key, v int) partition by range (id)`, `create table whole_1 partition of whole for values from (0) to (10)`,
				`create table parts (id int, v int) partition by range (id)`, `create table parts_1 partition of parts for values from (0) to (10); alter table parts_1 replica identity full`,
				`insert into whole values (1, 1); insert into parts values (1, 1)`)
			stop := r.start()
			before := r.clock()
			r.exec(fmt.Sprintf(`alter publication %[1]s drop table whole, parts_1; update whole set v = 2; update parts set v = 2`, r.source().names.all))
			testrig.Eventually(t, time.Minute, func() error {
				if len(r.gapsOf("public.whole", causeUnpublished)) == 0 || len(r.gapsOf("public.parts", causeUnpublished)) == 0 {
					return fmt.Errorf("%q", briefs(t, r.captured()))
				}
				return nil
			})
			r.exec(`update whole set v = 3; update parts set v = 3`)
			r.awaitLast(func(e event.Raw) bool { return strings.HasPrefix(brief(t, e), "public.parts update") })
			_ = stop()
			expect(t, r.captured(), `public.parts gap publication_changed`, `public.whole gap publication_changed`,
				`public.whole update {"id":1} after {"id":1,"v":3} incomplete {"before":"unavailable"}`,
				`public.parts update - before {"id":1,"v":2} after {"id":1,"v":3}`)
			for _, g := range append(r.gapsOf("public.whole", causeUnpublished), r.gapsOf("public.parts", causeUnpublished)...) {
				if g.From.After(before) || g.Remedy == "" {
					t.Errorf("%+v", g)
				}
			}
		})
	}
}

// TestACollectorThatIsKilledBeforeItLooksTellsTheGapLater, though it read on behind what wasn't published; also of progress that
// an earlier program committed.
func TestACollectorThatIsKilledBeforeItLooksTellsTheGapLater(t *testing.T) {
	for name, forget := range map[string]bool{"this program": false, "an earlier program": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, `create table t (id int primary key, v int)`, `create table du (id int primary key, v int)`, `insert into du values (1, 1)`)
			stop := r.start()
			r.exec(`insert into t values (0, 0)`)
			r.await(1)
			before := r.clock()
			r.exec(fmt.Sprintf(`alter publication %s drop table du; update du set v = 2; insert into t values (1, 1)`, r.source().names.all))
			r.await(2)
			_ = stop()
			if len(r.captured()) > 2 {
				t.Skip("the collector looked in between")
			}
			if forget {
				var entry tablesEntry
				if err := json.Unmarshal(r.committed[entryTables], &entry); err != nil {
					t.Fatal(err)
				}
				entry.Published = nil
				text, err := json.Marshal(entry)
				if err != nil {
					t.Fatal(err)
				}
				r.alter(func(p *progress) { p.Right = time.Time{} })
				r.committed[entryTables] = text
			}
			got := r.wait(3)
			expect(t, got, `public.t insert {"id":0} after {"id":0,"v":0}`, `public.t insert {"id":1} after {"id":1,"v":1}`, `public.du gap publication_changed`)
			if g := r.gapsOf("public.du", causeUnpublished)[0]; !forget && g.From.After(before) {
				t.Errorf("a gap from %s, of what was done at %s", g.From, before)
			}
		})
	}
}

// TestWhatCantBePutRightIsToldAtOnce, and what follows when it was put right: a table that is in use can't be.
func TestWhatCantBePutRightIsToldAtOnce(t *testing.T) {
	for name, manages := range map[string]bool{"a table is in use": true, "a DBA publishes": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, `create table du (id int primary key, v int)`, `insert into du values (1, 1)`)
			r.install()
			r.config.ManageTriggers = manages
			stop := r.start()
			writer := r.session()
			if _, err := writer.Exec(t.Context(), `begin; update du set v = 2`); err != nil {
				t.Fatal(err)
			}
			names := r.source().names
			await := func(n int) {
				testrig.Eventually(t, time.Minute, func() error {
					if got := r.gapsOf("public.du", causeUnpublished); len(got) < n {
						return fmt.Errorf("%+v", got)
					}
					return nil
				})
			}
			r.exec(fmt.Sprintf(`alter publication %s set (publish = 'insert')`, names.all))
			await(1)
			if _, err := writer.Exec(t.Context(), `update du set v = 3; commit`); err != nil {
				t.Fatal(err)
			}
			after := r.clock()
			if !manages {
				r.exec(fmt.Sprintf(`alter publication %s set (publish = 'insert, update, delete, truncate')`, names.all))
			}
			await(2)
			r.exec(`update du set v = 4`)
			r.awaitLast(func(e event.Raw) bool { return strings.Contains(brief(t, e), `after {"id":1,"v":4}`) })
			_ = stop()
			gaps := r.gapsOf("public.du", causeUnpublished)
			if len(gaps) != 2 || gaps[1].From.After(gaps[0].To) || gaps[1].To.Before(after) {
				t.Errorf("gaps %+v", gaps)
			}
		})
	}
}

// TestAReplicaIdentityThatComesOrGoesIsAGap: what was updated before the collector published it, or behind the event trigger.
func TestAReplicaIdentityThatComesOrGoesIsAGap(t *testing.T) {
	for _, running := range []bool{true, false} {
		t.Run(fmt.Sprintf("running %v", running), func(t *testing.T) {
			r := newRig(t, `create table loses (id int primary key, v int)`, `create table gains (v int)`, `insert into loses values (1, 1); insert into gains values (1)`)
			stop := r.start()
			if !running {
				_ = stop()
			}
			before := r.clock()
			r.exec(`alter table loses drop constraint loses_pkey; update loses set v = 2`)
			r.exec(`alter table gains replica identity full; update gains set v = 2`)
			after := r.clock()
			if !running {
				stop = r.start()
			}
			testrig.Eventually(t, time.Minute, func() error {
				for _, table := range []string{"public.loses", "public.gains"} {
					if !slices.ContainsFunc(r.gapsOf(table, causeNotPublished), func(g event.Gap) bool { return !g.From.After(before) && !g.To.Before(after) }) {
						return fmt.Errorf("%s: %+v", table, r.gapsOf(table, causeNotPublished))
					}
				}
				return nil
			})
			_ = stop()
		})
	}
}

func TestAPublicationOfAllTablesIsMadeAnew(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`, `create table log (v int); insert into log values (1)`)
	r.exec(`create publication ` + r.source().names.all + ` for all tables`)
	r.install()
	r.awaitPutRight()
	r.exec(`update log set v = 2; insert into t values (1)`) // the first fails where its updates are published
	expect(t, r.wait(1), `public.t insert {"id":1} after {"id":1}`)
}

// TestADBAIsToldWhatMendsAPublication that somebody narrowed, where the collector manages none: which table, and the SQL.
func TestADBAIsToldWhatMendsAPublication(t *testing.T) {
	for name, one := range map[string]struct {
		version       int
		meddle, named string
	}{
		"table never published":    {0, `create table w (id int primary key)`, `"public"."w"`},
		"table taken out":          {0, `alter publication {{all}} drop table du`, `"public"."du"`},
		"operations left out":      {0, `alter publication {{all}} set (publish = 'insert')`, `"public"."du", "public"."t"`},
		"truncates left out":       {0, `alter publication {{inserts}} set (publish = 'insert')`, `"public"."log"`},
		"row filter":               {150000, `alter publication {{all}} drop table du; alter publication {{all}} add table du where (id > 5)`, `"public"."du"`},
		"column list":              {150000, `alter publication {{all}} set table t, du (id)`, `"public"."du"`},
		"schema":                   {150000, `create schema other; alter publication {{all}} add tables in schema other`, ``},
		"a table of nobody's":      {0, `create schema other; create table other.w (id int primary key); alter publication {{all}} add table other.w`, `"other"."w"`},
		"generated columns hidden": {180000, `alter publication {{all}} set (publish_generated_columns = none)`, `"public"."du", "public"."t"`},
	} {
		for _, version := range []string{"", "18"} {
			t.Run(strings.TrimSpace(name+" "+version), func(t *testing.T) {
				r := newRigOn(t, databaseOn(t, version), `create table t (id int primary key, v int)`, `create table du (id int primary key, v int)`,
					`create table log (v int)`, `insert into du values (1, 1)`)
				if r.version() < one.version {
					t.Skip("this server can't")
				}
				r.install()
				r.config.ManageTriggers = false
				if text := findingsText(r.source().Check(t.Context())); strings.Contains(text, "ERROR") {
					t.Errorf("before, check says\n%s", text)
				}
				names := r.source().names
				stop := r.start()
				r.exec(strings.NewReplacer("{{all}}", names.all, "{{inserts}}", names.inserts).Replace(one.meddle))
				status, err := r.source().Status(t.Context())
				if err != nil || status.Complete || len(status.Mend) == 0 {
					t.Fatalf("status %+v, %v", status, err)
				}
				text := findingsText(r.source().Check(t.Context()))
				if !strings.Contains(text, "to be: "+one.named+" (") && one.named != "" || !strings.Contains(text, strings.Join(status.Mend, " ")) {
					t.Errorf("check says\n%s", text)
				}
				for _, transaction := range status.Mend {
					r.exec(transaction)
				}
				if status, err := r.source().Status(t.Context()); err != nil || !status.Complete || len(status.Mend) > 0 {
					t.Errorf("afterwards a status of %+v, %v", status, err)
				}
				r.exec(`update du set v = 3`)
				r.awaitLast(func(e event.Raw) bool { return strings.HasPrefix(brief(t, e), "public.du update") })
				_ = stop()
			})
		}
	}
}

// TestATableThatNobodyPublishesIsToldOnce, where the collector publishes none.
func TestATableThatNobodyPublishesIsToldOnce(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	r.install()
	r.config.ManageTriggers = false
	var log lockedBuffer
	r.opts.Log = slog.New(slog.NewTextHandler(&log, nil))
	stop := r.start()
	r.exec(`create table w (id int primary key)`)
	testrig.Eventually(t, time.Minute, func() error {
		if !strings.Contains(log.String(), `\"public\".\"w\"`) {
			return errors.New(log.String())
		}
		return nil
	})
	r.exec(`insert into t values (1); create table x (id int primary key)`)
	testrig.Eventually(t, time.Minute, func() error {
		if !strings.Contains(log.String(), `\"public\".\"x\"`) {
			return errors.New(log.String())
		}
		return nil
	})
	_ = stop()
	if n := strings.Count(log.String(), "manage_triggers is off"); n != 2 {
		t.Errorf("told %d times:\n%s", n, log.String())
	}
}

// lockedBuffer is what was logged so far.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
