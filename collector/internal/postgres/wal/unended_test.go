package wal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/collector/internal/source"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	servers "datawatch/pkg/testrig/postgres"
)

// private is a database on a server of the test's own, made with what sql adds to CREATE DATABASE.
func private(t *testing.T, version string, settings map[string]string, sql string) (dsn string) {
	t.Helper()
	all := map[string]string{"wal_level": "logical", "fsync": "off"}
	for name, value := range settings {
		all[name] = value
	}
	server := testrig.PrivatePostgres(t, servers.Options{Version: version, Settings: all})
	db, err := pgx.Connect(t.Context(), server.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.Background()) }()
	if _, err := db.Exec(t.Context(), "create database shop "+sql); err != nil {
		t.Fatal(err)
	}
	return server.DSN("shop")
}

// runUntil runs the source again and again, as its supervisor does, until an event is there.
func (r *rig) runUntil(is func(event.Raw) bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	found := false
	emit := r.emit
	for ctx.Err() == nil {
		err := r.source().Run(ctx, r.progress(), func(ctx context.Context, b source.Batch) error {
			err := emit(ctx, b)
			for _, e := range b.Events {
				found = found || is(e)
			}
			if found {
				cancel()
			}
			return err
		})
		r.t.Log(err)
	}
	if !found {
		r.t.Fatalf("it isn't among\n\t%s", strings.Join(briefs(r.t, r.captured()), "\n\t"))
	}
}

// TestTextThatIsntUTF8EndsNoCapture: in a database of any bytes they come as they are, as by triggers; in another encoding what
// UTF-8 doesn't have is a gap.
func TestTextThatIsntUTF8EndsNoCapture(t *testing.T) {
	for encoding, one := range map[string]struct {
		text string
		want string
	}{
		"WIN1252":   {`chr(129)`, `public.t gap unreadable`},
		"SQL_ASCII": {`E'caf\xe9'`, "public.t insert {\"id\":2} after {\"id\":2,\"v\":\"caf\xe9\"}"},
	} {
		t.Run(encoding, func(t *testing.T) {
			r := newRigOn(t, private(t, "", nil, `encoding '`+encoding+`' lc_collate 'C' lc_ctype 'C' template template0`), `create table t (id int primary key, v text)`)
			r.install()
			r.exec(`insert into t values (1, 'a')`)
			r.exec(`insert into t values (2, ` + one.text + `)`)
			r.exec(`insert into t values (3, 'c')`)
			r.runUntil(func(e event.Raw) bool { return string(e.Key) == `{"id":3}` })
			expect(t, r.captured(), `public.t insert {"id":1} after {"id":1,"v":"a"}`, one.want, `public.t insert {"id":3} after {"id":3,"v":"c"}`)
		})
	}
}

// TestPublicationsThatDifferInTheirColumnsEndNoCapture: of a partition that is in one with its root, and in the other by itself. What was
// written meanwhile can't be decoded any more.
func TestPublicationsThatDifferInTheirColumnsEndNoCapture(t *testing.T) {
	for _, version := range []string{"15", "18"} {
		t.Run("PostgreSQL"+version, func(t *testing.T) {
			r := newRigOn(t, databaseOn(t, version), `create table p (id int, v int) partition by range (id)`, `create table p_1 (id int not null primary key, v int)`,
				`alter table p attach partition p_1 for values from (0) to (10)`, `create table p_2 partition of p for values from (10) to (20)`, `create table u (id int primary key)`)
			stop := r.start()
			r.exec(`insert into p values (1, 1)`)
			r.await(1)
			_ = stop()
			r.exec(fmt.Sprintf(`alter publication %[1]s drop table p_1; alter publication %[1]s add table p_1 (id)`, r.source().names.all))
			r.exec(`update p set v = 2`)
			r.runUntil(func(e event.Raw) bool { return strings.HasSuffix(brief(t, e), causeSlotLost) })
			stop = r.start()
			r.exec(`update p set v = 3`)
			r.awaitLast(func(e event.Raw) bool { return strings.HasPrefix(brief(t, e), "public.p update") })
			_ = stop()
		})
	}
}

// TestTimeoutsOfTheServerEndNoCapture: neither of a transaction, which decoding is one of, nor of a sender that hears nothing while the
// broker takes nothing.
func TestTimeoutsOfTheServerEndNoCapture(t *testing.T) {
	r := newRigOn(t, private(t, "18", map[string]string{"wal_sender_timeout": "1s"}, ""), `create table t (id int primary key, v text)`)
	r.install()
	r.limits.batchEvents = 100
	const rows = 20000
	r.exec(fmt.Sprintf(`insert into t select g, repeat('x', 200) from generate_series(1, %d) g`, rows))
	r.exec(`alter database shop set transaction_timeout = '500ms'`)
	r.fail = func(batch int) (bool, bool) {
		if batch == 2 {
			time.Sleep(4 * time.Second) // longer than either
		}
		return false, false
	}
	stop := r.start()
	r.await(rows)
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("run ended with %v", err)
	}
}
