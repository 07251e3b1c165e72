package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"datawatch/collector/internal/postgres"
	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/pkg/hide"
	"datawatch/pkg/normalize"
	"datawatch/pkg/testrig"
)

// shop is a database, a collector that captures it, and what stands in for the preprocessor.
type shop struct {
	t      *testing.T
	config Config
	yaml   string
	db     *pgx.Conn
}

func newShop(t *testing.T, sql ...string) *shop {
	t.Helper()
	dsn := testrig.Postgres(t).Database(t)
	db, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(context.Background()) })
	s := &shop{t: t, db: db}
	s.exec(sql...)
	addr := testrig.Embedded(t)
	c := configuration(t, addr, addr, "none")
	var p postgres.Config
	p.SetDefaults()
	p.DSN = config.Secret(dsn)
	c.Collector.Sources = []Source{{Name: "shop-db", Postgres: &p}}
	s.config = c
	s.yaml = fmt.Sprintf("broker: {addresses: [%q], topic_prefix: %s, partitions: %d}\ncollector: {sources: [{name: shop-db, postgres: {dsn: %q}}]}\n",
		addr, c.Broker.TopicPrefix, c.Broker.Partitions, dsn)
	return s
}

// TestCommandsSayThatABrokerSpeaksNoTLS within seconds: the embedded one is silent where a client wants to.
func TestCommandsSayThatABrokerSpeaksNoTLS(t *testing.T) {
	yaml := fmt.Sprintf("broker: {addresses: [%q], tls: {enabled: true}}\ncollector: {sources: [{name: shop-db, postgres: {dsn: \"postgres://127.0.0.1:1/shop\"}}]}\n", testrig.Embedded(t))
	for _, command := range []string{"check", "status"} {
		began := time.Now()
		code, stdout, stderr := run(t, yaml, command)
		if took := time.Since(began); code != daemon.ExitFailed || took > 10*time.Second {
			t.Errorf("%s exits with %d after %s", command, code, took)
		}
		contains(t, stdout+stderr, "doesn't speak TLS", "(switch tls off (enabled: false), or ")
	}
}

// TestCommandsSayWhatToDoWhereNoBrokerAnswers, as check does.
func TestCommandsSayWhatToDoWhereNoBrokerAnswers(t *testing.T) {
	yaml := "broker: {addresses: [\"127.0.0.1:1\"]}\ntelegram: {token: \"1:a\", alerts: {chat: -1}}\ncollector: {sources: [{name: shop-db, postgres: {dsn: \"postgres://127.0.0.1:1/shop\"}}]}\n"
	for _, args := range [][]string{
		{"status"}, {"gaps"}, {"tail"}, {"verify", "--stream", "shop-db/public.orders"}, {"snapshot", "--source", "shop-db"}, {"chat", "pair"},
	} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			if code, _, stderr := run(t, yaml, args...); code != daemon.ExitFailed || !strings.Contains(stderr, "(see broker.addresses, broker.tls and broker.sasl; is the broker running?)") {
				t.Errorf("exit code %d: %s", code, stderr)
			}
		})
	}
}

func (s *shop) exec(sql ...string) {
	s.t.Helper()
	for _, one := range sql {
		if _, err := s.db.PgConn().Exec(s.t.Context(), one).ReadAll(); err != nil {
			s.t.Fatalf("%s: %v", one, err)
		}
	}
}

// normalizes does the preprocessor's work until the test ends.
func (s *shop) normalizes() {
	topics := broker.TopicsOf(s.config.Broker.TopicPrefix)
	n := normalize.New(normalize.Options{})
	stage := broker.Stage{
		Broker: s.config.Broker, Name: "test-preprocessor", Group: s.config.Broker.TopicPrefix + "-preprocessor", Topic: topics.Raw,
		Log: slog.New(slog.DiscardHandler),
		Process: func(ctx context.Context, batch []broker.Record) (out []broker.Record, err error) {
			for _, r := range batch {
				raw, err := event.ParseRaw(r.Key, r.Value, r.Headers)
				if err != nil {
					return nil, err
				}
				events, err := n.Events(ctx, raw)
				if err != nil {
					return nil, err
				}
				for _, e := range events {
					out = append(out, broker.Record{Topic: topics.Clean, Key: e.RecordKey(), Value: e.AppendJSON(nil)})
				}
			}
			return out, nil
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- stage.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			s.t.Errorf("the stage ended with %v", err)
		}
	})
}

// does runs a command, which has to exit so.
func (s *shop) does(exit int, args ...string) (stdout, stderr string) {
	s.t.Helper()
	code, stdout, stderr := run(s.t, s.yaml, args...)
	if code != exit {
		s.t.Fatalf("%v exits with %d, not %d: %s%s", args, code, exit, stdout, stderr)
	}
	return stdout, stderr
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("it doesn't say %q:\n%s", part, text)
		}
	}
}

// TestVerifyFindsWhatWasBrokenAndNothingElse: verify says so where clean can't know; after a snapshot it agrees while
// writes go on; it finds rows that were changed behind the triggers' back.
func TestVerifyFindsWhatWasBrokenAndNothingElse(t *testing.T) {
	s := newShop(t, `create table orders (id int primary key, total numeric(12,2), note text, gone int)`,
		`insert into orders select g, g * 1.5, 'note', g from generate_series(1, 300) g`)
	start(t, s.config)
	s.normalizes()
	stream := "shop-db/public.orders"
	s.exec(`update orders set total = 7 where id <= 10`)
	out, errs := s.does(daemon.ExitTooFar, "verify", "--stream", stream)
	contains(t, out, "300 rows compared, 0 differ, 290 of which clean holds no event")
	contains(t, errs, "collector snapshot --stream "+stream)

	out, _ = s.does(daemon.ExitOK, "snapshot", "--source", "shop-db")
	contains(t, out, stream+": 300 rows\n")
	s.exec(`alter table orders add later int, drop gone`) // of which no event tells
	out, _ = s.does(daemon.ExitOK, "status")
	contains(t, out, "shop-db: streaming since ", "outbox ", "snapshot of everything: ended ", "300 rows")

	writing, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for i := range 2 {
		db, err := pgx.Connect(t.Context(), s.config.Collector.Sources[0].Postgres.DSN.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close(context.Background()) })
		writers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			for writing.Err() == nil {
				id := 1 + rng.IntN(200)
				_, _ = db.Exec(writing, []string{
					`update orders set total = total + 1, note = 'written' where id = $1`,
					`delete from orders where id = $1`,
					`insert into orders values ($1, 3.10, 'new') on conflict (id) do update set note = 'again'`,
				}[rng.IntN(3)], id)
				time.Sleep(2 * time.Millisecond) // a pace: what is behind it is to be waited for
			}
		})
	}
	out, _ = s.does(daemon.ExitOK, "verify", "--stream", stream)
	contains(t, out, "0 differ")

	s.exec(`begin; set local session_replication_role = replica; update orders set note = 'behind' where id = 250; delete from orders where id = 251;
		insert into orders values (1000, 1, 'hidden'); commit`)
	out, _ = s.does(daemon.ExitFailed, "verify", "--stream", stream, "--output", "json")
	stop()
	writers.Wait()
	for _, want := range []string{`"id": 250`, `"id": 251`, `"id": 1000`, `"kind": "different"`, `"kind": "extra"`, `"kind": "missing"`} {
		contains(t, out, want)
	}
	if n := strings.Count(out, `"kind"`); n != 3 {
		t.Errorf("%d differences: %s", n, out)
	}
	out, _ = s.does(daemon.ExitFailed, "verify", "--stream", stream)
	contains(t, out, `different  {"id":250}`, `extra      {"id":251}`, `missing    {"id":1000}`, "3 differ")
}

// TestVerifyAgreesOfEveryTypeAndKey, and sees the smallest difference: whatever columns are of, and tables are called.
func TestVerifyAgreesOfEveryTypeAndKey(t *testing.T) {
	s := newShop(t, `create table "Weird ""Table" (n int, old int, rows text, primary key (old, n)); insert into "Weird ""Table" select g, g % 3, 'r' from generate_series(1, 20) g`,
		`create type mood as enum ('sad'); create type pair as (a int, b text);
		create table kinds (id numeric(20,4), at timestamptz, primary key (id, at), f4 real, f8 float8, n numeric, m money, b bytea, d date, t time, tz timetz, i interval, u uuid, ip inet, j json, jb jsonb, x xml, bits bit(3),
			arr int[], tarr text[], r tstzrange, e mood, p pair, ts timestamp, c char(5), pt point, l pg_lsn)`,
		`create table tree (id text primary key, v int) partition by hash (id); create table tree0 (v int, id text not null); alter table tree attach partition tree0 for values with (modulus 2, remainder 0);
		create table tree1 partition of tree for values with (modulus 2, remainder 1); insert into tree select 'k' || g, g from generate_series(1, 30) g`)
	const row = `(1.5000, '2026-01-01 00:00:00.5+07', 3.4028235e+38, 0.1::float8 + 0.2::float8, 'NaN', -12.5, '\x00ff', '0044-03-15 BC', '24:00', '23:59:59.999999+07', '1 year -2 days', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '::1',
		'{"b": 1.0,  "a": 2, "a": 3}', '{"b": 1.10}', '<a>1</a>', '101', '{{1,null},{2,3}}', '{"a,b",null}', '[2026-01-01,infinity)', 'sad', '(1,x)', '-infinity', 'ab', '(1.5,0.1)', '16/B374D848')`
	s.exec(`insert into kinds values ` + row)
	start(t, s.config)
	s.normalizes()
	s.does(daemon.ExitOK, "snapshot", "--source", "shop-db")
	s.exec(`insert into kinds values `+strings.Replace(row, "1.5000", "2.5", 1), `insert into kinds values `+strings.NewReplacer("1.5000", "3.5", "2026-01-01 00:00:00.5+07", "infinity").Replace(row))
	for stream, differs := range map[string]struct{ behind, found string }{
		"shop-db/public.kinds":            {`update kinds set f8 = 0.3 where id = 2.5`, `different  {"at":"2025-12-31T17:00:00.5Z","id":2.5000}`},
		"shop-db/public.tree":             {`delete from tree where id = 'k7'`, `extra      {"id":"k7"}`},
		"shop-db/public.Weird%20%22Table": {`insert into "Weird ""Table" values (21, 0, 'r')`, `missing    {"n":21,"old":0}`},
	} {
		out, _ := s.does(daemon.ExitOK, "verify", "--stream", stream)
		contains(t, out, " 0 differ")
		s.exec(`begin; set local session_replication_role = replica; ` + differs.behind + `; commit`)
		out, _ = s.does(daemon.ExitFailed, "verify", "--stream", stream)
		contains(t, out, differs.found, " 1 differ")
	}
}

// TestVerifySaysWhyItCannotCompare: a table without a key, and one that isn't captured, are a sentence that says so.
func TestVerifySaysWhyItCannotCompare(t *testing.T) {
	s := newShop(t, `create table notes (v text)`)
	start(t, s.config)
	s.normalizes()
	s.exec(`insert into notes values ('a')`)
	s.does(daemon.ExitOK, "snapshot", "--source", "shop-db") // the topics, and what the collector tells, are there after it
	_, errs := s.does(daemon.ExitFailed, "verify", "--stream", "shop-db/public.notes")
	contains(t, errs, "the table has no key")
	_, errs = s.does(daemon.ExitFailed, "verify", "--stream", "shop-db/public.nots")
	contains(t, errs, "selects no table that is shop-db/public.nots")
}

// TestVerifySaysWhichRightIsMissing, of which role, and what grants it; and that row security hides rows from it.
func TestVerifySaysWhichRightIsMissing(t *testing.T) {
	s := newShop(t, `create table "My orders" (id int primary key)`)
	start(t, s.config)
	s.normalizes()
	s.exec(`insert into "My orders" values (1)`)
	stream := "shop-db/public.My%20orders"
	s.does(daemon.ExitOK, "snapshot", "--stream", stream) // the topics, and what the collector tells, are there after it
	reader := fmt.Sprintf("Reader %d", time.Now().UnixNano())
	role := pgx.Identifier{reader}.Sanitize()
	s.exec(`create role ` + role + ` login password 'secret'`)
	t.Cleanup(func() { _, _ = s.db.Exec(context.Background(), `drop owned by `+role+`; drop role `+role) })
	dsn, err := url.Parse(s.config.Collector.Sources[0].Postgres.DSN.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	superuser := dsn.String()
	dsn.User = url.UserPassword(reader, "secret")
	s.yaml = strings.ReplaceAll(s.yaml, strconv.Quote(superuser), strconv.Quote(dsn.String()))
	_, errs := s.does(daemon.ExitFailed, "verify", "--stream", stream)
	grants := `grant usage on schema "public" to ` + role + `; grant select on "public"."My orders" to ` + role
	contains(t, errs, "permission denied", `the role `+role+` may not read the table: `+grants)
	s.exec(grants)
	s.does(daemon.ExitOK, "verify", "--stream", stream)
	s.exec(`alter table "My orders" enable row level security`)
	_, errs = s.does(daemon.ExitFailed, "verify", "--stream", stream)
	contains(t, errs, `row security hides rows from the role `+role+`: alter role `+role+` bypassrls`)
}

// TestSnapshotNeedsACollector: without one, the command says so, and asks nothing of the next.
func TestSnapshotNeedsACollector(t *testing.T) {
	s := newShop(t, `create table orders (id int primary key)`, `insert into orders values (1)`)
	running := start(t, s.config)
	s.does(daemon.ExitOK, "snapshot", "--stream", "shop-db/public.orders")
	_, errs := s.does(daemon.ExitFailed, "snapshot", "--stream", "shop-db/public.nothing")
	contains(t, errs, "not everything could be read")
	running.stop()
	_, errs = s.does(daemon.ExitFailed, "snapshot", "--source", "shop-db")
	contains(t, errs, "no collector runs this source", "start `collector`")
	out, _ := s.does(daemon.ExitFailed, "status")
	contains(t, out, "shop-db: stopped since", "remedy: its collector was stopped")
	if n := len(awaitRaw(t, s.config, 1)); n != 1 {
		t.Errorf("%d events", n)
	}
}

// TestTailShowsTheFeedAndGapsListsGaps: tail gives the feed's own text, of what its arguments pick.
func TestTailShowsTheFeedAndGapsListsGaps(t *testing.T) {
	s := newShop(t, `create table orders (id int primary key, total numeric(12,2))`, `create table other (id int primary key)`)
	collector := start(t, s.config)
	s.normalizes()
	out, errs := s.does(daemon.ExitOK, "gaps")
	contains(t, out, "no gaps")
	contains(t, errs, "clean holds no events")
	s.does(daemon.ExitTooFar, "gaps", "--since", "1h")
	s.does(daemon.ExitTooFar, "tail", "--since", "1h")

	s.exec(`begin; set datawatch.tag = 'checkout-test'; insert into orders values (1, 10.00); insert into other values (5); commit; set datawatch.tag = ''`,
		`update orders set total = 12.50 where id = 1`, `insert into orders values (2, 1.00)`)
	s.exec(`create table fresh as select 1 as id`)
	testrig.Eventually(t, 60*time.Second, func() error {
		if out, _ := s.does(daemon.ExitOK, "gaps"); !strings.Contains(out, "shop-db/public.fresh: table_new") {
			return fmt.Errorf("no gap yet: %s", out)
		}
		if out, _ := s.does(daemon.ExitOK, "tail", "--no-follow", "--output", "json"); strings.Count(out, "\n") < 5 {
			return fmt.Errorf("not all is there yet: %s", out)
		}
		return nil
	})
	out, _ = s.does(daemon.ExitOK, "gaps", "--stream", "shop-db/public.fresh")
	contains(t, out, "from:   ", "to:     ", "remedy: A table")
	for what, want := range map[string]string{
		"gaps --since 1h": "shop-db/public.fresh: table_new", "gaps --since 1h --output json": `"cause": "table_new"`,
		"tail --since 1h --no-follow": "orders 1  total 10.00 → 12.50", "tail --since 1h --no-follow --output json": `"after":{"id":1,"total":12.50}`,
	} {
		out, errs := s.does(daemon.ExitTooFar, strings.Fields(what)...)
		contains(t, out, want)
		contains(t, errs, "clean holds events since")
	}
	if err := testutil.GatherAndCompare(collector.metrics, strings.NewReader(`
		# HELP datawatch_collector_gaps_total Stretches that were not captured.
		# TYPE datawatch_collector_gaps_total counter
		datawatch_collector_gaps_total{cause="table_new",source="shop-db"} 1
	`), "datawatch_collector_gaps_total"); err != nil {
		t.Error(err)
	}
	out, _ = s.does(daemon.ExitOK, "tail", "--no-follow")
	contains(t, out, "🔹 shop-db · 2 changes · ", "orders 1  + total 10.00\nother 5  +\n", "tag checkout-test", "orders 1  total 10.00 → 12.50  (+2.50)")
	for args, want := range map[string]int{
		"shop-db/public.other": 1, "shop-db/public.o*": 3, "--tag checkout-test": 1, "--where self.total>5": 2, "--where old.total==10.0": 1,
	} {
		out, _ := s.does(daemon.ExitOK, append([]string{"tail", "--no-follow"}, strings.Fields(args)...)...)
		if n := strings.Count(out, "🔹"); n != want {
			t.Errorf("tail %s shows %d transactions:\n%s", args, n, out)
		}
	}
	if _, err := hide.Publish(t.Context(), s.config.Broker, "test", []hide.File{{Stream: "shop-db/public.orders", Hide: []string{"/total"}}}, nil); err != nil {
		t.Fatal(err)
	}
	for _, output := range []string{"text", "json"} {
		out, _ = s.does(daemon.ExitOK, "tail", "--no-follow", "--where", "self.total == 12.5", "--output", output)
		if strings.Contains(out, "12.50") || !strings.Contains(out, "orders") {
			t.Errorf("a hidden field is shown, or nothing is: %s", out)
		}
	}
	s.does(daemon.ExitConfig, "tail", "--where", "self.total >")
	// A name that nothing has is told.
	_, errs = s.does(daemon.ExitOK, "tail", "--no-follow", "shop-db/public.fresh")
	if strings.Contains(errs, "fresh") {
		t.Error(errs)
	}
	_, errs = s.does(daemon.ExitOK, "tail", "--no-follow", "shop-db/*", "shop-db/public.frsh", "shp-db/*")
	contains(t, errs, "no event is of shop-db/public.frsh\n", `shp-db/*: the configuration has no source "shp-db": it has shop-db`)
	_, errs = s.does(daemon.ExitOK, "gaps", "--stream", "shp-db/public.fresh")
	contains(t, errs, `shp-db/public.fresh: the configuration has no source "shp-db": it has shop-db`)
	_, errs = s.does(daemon.ExitConfig, "tail", "fresh")
	contains(t, errs, `"fresh" is no stream or glob of streams`)
	s.does(daemon.ExitConfig, "verify")
}
