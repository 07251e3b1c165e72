package collector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"datawatch/collector/internal/postgres"
	"datawatch/pkg/daemon"
	"datawatch/pkg/testrig"
	servers "datawatch/pkg/testrig/postgres"
)

// run executes a command line of the collector.
func run(t *testing.T, configuration string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "datawatch.yaml")
	if err := os.WriteFile(file, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code = daemon.Execute(Service(), append(args, "--config", file), &out, &errs)
	return code, out.String(), errs.String()
}

func TestTriggersArePlannedInstalledToldAndRemoved(t *testing.T) {
	dsn := testrig.Postgres(t).Database(t)
	db, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(t.Context()) }()
	if _, err := db.Exec(t.Context(), "create table orders (id bigint primary key, total numeric(12,2))"); err != nil {
		t.Fatal(err)
	}
	yaml := fmt.Sprintf("broker: {addresses: [\"127.0.0.1:1\"]}\ncollector: {sources: [{name: shop-db, postgres: {dsn: %q}}]}\n", dsn)
	ok := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := run(t, yaml, append([]string{"triggers"}, args...)...)
		if code != daemon.ExitOK {
			t.Fatalf("triggers %v exits with %d: %s", args, code, stderr)
		}
		return stdout
	}
	incomplete := func(says ...string) {
		t.Helper()
		code, stdout, stderr := run(t, yaml, "triggers", "status")
		if code != daemon.ExitFailed {
			t.Errorf("triggers status exits with %d: %s%s", code, stdout, stderr)
		}
		contains(t, stdout+stderr, says...)
	}
	plan := ok("plan")
	if !strings.Contains(plan, "-- lock:") || !strings.Contains(plan, "orders") {
		t.Errorf("plan: %s", plan)
	}
	if !strings.HasPrefix(plan, "set client_encoding = 'UTF8';\n") {
		t.Errorf("names come before their encoding: %.60q", plan)
	}
	contains(t, plan, `Tables of yours that are locked, each in a transaction of its own: "public"."orders".`, "rows an hour: that takes ", "an hour in the\n-- outbox")
	incomplete("isn't installed", "`collector triggers install`")
	holder, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Close(t.Context()) }()
	if _, err := holder.Exec(t.Context(), "begin; insert into orders values (1, 1)"); err != nil {
		t.Fatal(err)
	}
	var refused *pgconn.PgError
	soon, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := db.Exec(soon, plan); !errors.As(err, &refused) || refused.Code != "55P03" {
		t.Errorf("the plan, run by a DBA while a long transaction holds the table: %v", err)
	}
	if _, err := db.Exec(t.Context(), "rollback"); err != nil { // psql comes to the plan's commit, which is one then
		t.Fatal(err)
	}
	if _, err := holder.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	rest := ok("plan")
	if len(rest) >= len(plan) || strings.Contains(rest, "create schema") {
		t.Errorf("what is left after that: %s", rest)
	}
	if _, err := db.Exec(t.Context(), rest); err != nil {
		t.Fatalf("the plan, run by a DBA: %v", err)
	}
	if again := ok("plan"); !strings.Contains(again, "nothing is missing") {
		t.Errorf("a second plan: %s", again)
	}
	contains(t, ok("plan", "--output", "json"), `"statements": []`)
	ok("install")
	var status struct {
		Source string
		Status struct{ Complete bool }
	}
	if err := json.Unmarshal([]byte(ok("status", "--output", "json", "--source", "shop-db")), &status); err != nil || !status.Status.Complete || status.Source != "shop-db" {
		t.Errorf("status: %+v, %v", status, err)
	}
	for _, c := range []struct{ undo, redo, says string }{
		{`select datawatch.off()`, `select datawatch.on()`, `select datawatch.on()`},
		{`alter table orders disable trigger _datawatch_insert`, `alter table orders enable trigger _datawatch_insert`, `alter table "public"."orders" enable trigger`},
	} {
		if _, err := db.Exec(t.Context(), c.undo); err != nil {
			t.Fatal(err)
		}
		incomplete("source shop-db: incomplete", c.says)
		if _, err := db.Exec(t.Context(), c.redo); err != nil {
			t.Fatal(err)
		}
	}
	ok("status")
	if _, err := db.Exec(t.Context(), "drop table datawatch.outbox_0"); err != nil {
		t.Fatal(err)
	}
	incomplete("source shop-db: incomplete", "  missing: datawatch.outbox_0\n", "(run `collector triggers remove`, then `collector triggers install`")
	if code, stdout, stderr := run(t, yaml, "triggers", "install"); code != daemon.ExitFailed || !strings.Contains(stderr, "(run `collector triggers remove`") {
		t.Errorf("triggers install exits with %d: %s%s", code, stdout, stderr)
	}
	ok("remove")
	incomplete("isn't installed")
	if code, _, stderr := run(t, yaml, "triggers", "plan", "--source", "nope"); code != daemon.ExitConfig || !strings.Contains(stderr, `no source "nope"`) {
		t.Errorf("a source that isn't there: %d %s", code, stderr)
	}
}

func TestCheckFindsWhatIsWrong(t *testing.T) {
	addr := testrig.Embedded(t)
	yaml := fmt.Sprintf("broker: {addresses: [%q]}\ncollector: {sources: [{name: shop-kafka, kafka: {addresses: [%q]}}]}\n", addr, addr)
	if code, stdout, stderr := run(t, yaml, "check"); code != daemon.ExitOK || !strings.Contains(stdout, "ok    source shop-kafka") {
		t.Errorf("check exits with %d: %s%s", code, stdout, stderr)
	}
	yaml = fmt.Sprintf("broker: {addresses: [%q]}\ncollector: {sources: [{name: shop-kafka, kafka: {addresses: [\"127.0.0.1:1\"]}}]}\n", addr)
	if code, stdout, _ := run(t, yaml, "check"); code != daemon.ExitFailed || !strings.Contains(stdout, "FAIL  source shop-kafka") {
		t.Errorf("check exits with %d: %s", code, stdout)
	}
}

// TestAHotStandbyIsExplained by check, and by whatever would install or remove there, for either way of capture.
func TestAHotStandbyIsExplained(t *testing.T) {
	dir := testrig.PostgresDir(t)
	options := servers.Options{Dir: dir, Settings: map[string]string{"fsync": "off"}}
	primary, err := servers.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	if err := primary.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "standby.signal"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	standby := testrig.PrivatePostgres(t, options)
	for _, capture := range []string{"triggers", "wal"} {
		yaml := fmt.Sprintf("broker: {addresses: [%q]}\ncollector: {sources: [{name: shop-db, postgres: {dsn: %q, capture: %s, allow_unbounded_wal: true}}]}\n",
			testrig.Embedded(t), standby.DSN("postgres"), capture)
		code, stdout, stderr := run(t, yaml, "check")
		if code != daemon.ExitFailed || !strings.Contains(stdout, "hot standby") || !strings.Contains(stdout, "primary") {
			t.Errorf("capture %s: check exits with %d: %s%s", capture, code, stdout, stderr)
		}
		for _, command := range []string{"plan", "install", "remove"} {
			code, stdout, stderr := run(t, yaml, "triggers", command)
			if code != daemon.ExitFailed || stdout != "" || strings.Count(stderr, "hot standby") != 1 || !strings.Contains(stderr, "primary in dsn") || strings.Contains(stderr, "during recovery") {
				t.Errorf("capture %s: triggers %s exits with %d: %s%s", capture, command, code, stdout, stderr)
			}
		}
	}
}

// A DBA runs what the plan prints: the name of a table doesn't end the comment that it stands in.
func TestATablesNameDoesNotEndAPlansComments(t *testing.T) {
	for _, end := range []string{"\n", "\r", "\u0085"} {
		table := `"public"."x` + end + `drop table y; --"`
		var b strings.Builder
		plan := []postgres.Statement{{Table: table, SQL: "select 1;", Lock: "SHARE ROW EXCLUSIVE on " + table}}
		if err := writePlan(&b, "shop-db", plan, nil); err != nil {
			t.Fatal(err)
		}
		if strings.Count(b.String(), "drop table y") != 3 {
			t.Errorf("the table isn't named three times in\n%s", b.String())
		}
		for _, line := range strings.FieldsFunc(b.String(), func(r rune) bool { return strings.ContainsRune("\n\r\u0085", r) }) {
			if strings.Contains(line, "drop table y") && !strings.HasPrefix(line, "--") {
				t.Errorf("a comment ends before %q", line)
			}
		}
	}
}

// TestNobodysOperatorsAreRunByWhoRunsAPlan, which is complete then: psql works with the search path of whoever runs it, in which anybody's schema may be.
func TestNobodysOperatorsAreRunByWhoRunsAPlan(t *testing.T) {
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Skip("no psql here")
	}
	dsn := testrig.Postgres(t).Database(t)
	db, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.Background()) }()
	for _, sql := range []string{
		"create table orders (id bigint primary key)", "create table ran (what text)", `create table "Weird ""Table" (n int, old int, rows text, "it's :ran \d" int, "$body$" int, primary key (old, n))`,
		`create function same(a oid, b regclass) returns boolean language plpgsql as $$ begin insert into public.ran values ('='); return a operator(pg_catalog.=) b::oid; end $$`,
		"create operator = (leftarg = oid, rightarg = regclass, procedure = same)",
		`create function "left"(a name, n int) returns text language plpgsql as $$ begin insert into public.ran values ('left'); return pg_catalog.left(a::text, n); end $$`,
	} {
		if _, err := db.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	yaml := fmt.Sprintf("broker: {addresses: [\"127.0.0.1:1\"]}\ncollector: {sources: [{name: shop-db, postgres: {dsn: %q}}]}\n", dsn)
	code, plan, stderr := run(t, yaml, "triggers", "plan")
	if code != daemon.ExitOK {
		t.Fatal(stderr)
	}
	runs := func() ([]byte, error) {
		c := exec.CommandContext(t.Context(), psql, "-X", "-d", dsn)
		c.Stdin = strings.NewReader(plan)
		return c.CombinedOutput()
	}
	for _, sql := range []string{"drop role if exists dw_test_stranger", "create role dw_test_stranger", "create schema datawatch authorization dw_test_stranger", "create table datawatch.shapes (id bigint primary key, shape jsonb)"} {
		if _, err := db.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	if out, err := runs(); err != nil || strings.Contains(string(out), "COMMIT") {
		t.Errorf("in a schema of a stranger: %v: %s", err, out)
	}
	for _, sql := range []string{"drop schema datawatch cascade", "drop role dw_test_stranger"} {
		if _, err := db.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	if out, err := runs(); err != nil || strings.Contains(string(out), "ERROR") {
		t.Fatalf("%v: %s", err, out)
	}
	if code, stdout, stderr := run(t, yaml, "triggers", "status"); code != daemon.ExitOK || !strings.Contains(stdout, "source shop-db: complete") || !strings.Contains(stdout, `"public"."Weird ""Table": captured`) {
		t.Errorf("triggers status exits with %d: %s%s", code, stdout, stderr)
	}
	var ran, installed int
	err = db.QueryRow(t.Context(), "select (select count(*) from public.ran), (select count(*) from pg_catalog.pg_trigger where tgname like '\\_datawatch%')").Scan(&ran, &installed)
	if err != nil || ran > 0 || installed == 0 {
		t.Errorf("%d calls, %d triggers, %v", ran, installed, err)
	}
}

// TestCheckNamesWhatMaskHidesNothingOf: sources, tables and columns that aren't there, by either way of capture.
func TestCheckNamesWhatMaskHidesNothingOf(t *testing.T) {
	dsn := testrig.Postgres(t).Database(t)
	db, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.Background()) }()
	if _, err := db.Exec(t.Context(), `create table users (id int primary key, email text, "a.b" text, doc jsonb)`); err != nil {
		t.Fatal(err)
	}
	for _, capture := range []string{"triggers", "wal"} {
		yaml := fmt.Sprintf("broker: {addresses: [%q]}\ncollector: {sources: [{name: shop-db, postgres: {dsn: %q, capture: %s, allow_unbounded_wal: true}}]}\n", testrig.Embedded(t), dsn, capture) + `mask:
- {stream: shop-db/public.users, fields: [email, a.b, doc.phone, id], how: drop}
- {stream: "shop-db/*", fields: [email], how: hash}
- {stream: "*/public.others", fields: [email], how: hash}
- {stream: shp-db/public.users, fields: [email], how: drop}
- {stream: shop-db/public.user, fields: [email], how: drop}
- {stream: "shop-db/*", fields: [emial, email, dock.phone], how: last4}
`
		_, stdout, _ := run(t, yaml, "check")
		contains(t, stdout, "ok    mask[3]: shp-db/public.users: the configuration has no source of that name: it has shop-db\n",
			"ok    source shop-db mask[4]: no table that is captured is of the stream shop-db/public.user: it hides nothing\n",
			"ok    source shop-db mask[5]: shop-db/* has no column emial, dock.phone\n")
		if n := strings.Count(stdout, "mask["); n != 3 {
			t.Errorf("capture: %s: check tells %d entries of mask: %s", capture, n, stdout)
		}
	}
}
