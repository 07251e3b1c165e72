package collector

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/daemon"
	"datawatch/pkg/testrig"
)

func TestSlotAndPublicationsArePlannedInstalledToldAndRemoved(t *testing.T) {
	dsn := testrig.Postgres(t).Database(t)
	db, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(t.Context()) }()
	if _, err := db.Exec(t.Context(), "create table orders (id bigint primary key); create table log (v text)"); err != nil {
		t.Fatal(err)
	}
	at, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	source := strings.ReplaceAll(at.Database, "_", "-")
	yaml := func(more string) string {
		return fmt.Sprintf("broker: {addresses: [\"127.0.0.1:1\"]}\ncollector: {sources: [{name: %s, postgres: {dsn: %q, allow_unbounded_wal: true%s}}]}\n", source, dsn, more)
	}
	byWAL := yaml(", capture: wal")
	ok := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := run(t, byWAL, append([]string{"triggers"}, args...)...)
		if code != daemon.ExitOK {
			t.Fatalf("triggers %v exits with %d: %s", args, code, stderr)
		}
		return stdout
	}
	plan := ok("plan")
	code, stdout, stderr := run(t, byWAL, "triggers", "status")
	if code != daemon.ExitFailed {
		t.Errorf("status of what isn't there exits with %d", code)
	}
	contains(t, stdout+stderr, "isn't there", "`collector triggers install`")
	if _, err := db.Exec(t.Context(), plan); err != nil {
		t.Fatalf("the plan, run by a DBA: %v", err)
	}
	if again := ok("plan"); !strings.Contains(again, "nothing is missing") {
		t.Errorf("a second plan: %s", again)
	}
	contains(t, ok("plan", "--output", "json"), `"statements": []`)
	if status := ok("status"); !strings.Contains(status, ": complete") || !strings.Contains(status, "inserts and truncates only") {
		t.Errorf("status: %s", status)
	}
	ok("install")
	if code, stdout, _ := run(t, byWAL, "check"); code != daemon.ExitFailed || !strings.Contains(stdout, "ok    source "+source+" slot") || !strings.Contains(stdout, "triggers fit better") {
		t.Errorf("check exits with %d: %s", code, stdout) // the broker isn't there
	}
	if _, stdout, _ := run(t, yaml(""), "check"); !strings.Contains(stdout, "is left from capture: wal") {
		t.Errorf("check of a source by triggers: %s", stdout)
	}
	if code, _, stderr := run(t, yaml(""), "triggers", "install"); code != daemon.ExitOK {
		t.Fatalf("triggers besides: %s", stderr)
	}
	if _, stdout, _ := run(t, byWAL, "check"); !strings.Contains(stdout, "are left on 2 tables") {
		t.Errorf("check of a source by wal whose triggers are left: %s", stdout)
	}
	both := strings.Replace(byWAL, "sources: [", fmt.Sprintf("sources: [{name: shop-too, postgres: {dsn: %q, tables: [public.orders]}}, ", dsn), 1)
	if code, _, stderr := run(t, both, "triggers", "remove", "--source", source); code != daemon.ExitOK {
		t.Fatalf("remove: %s", stderr)
	}
	var others int
	if err := db.QueryRow(t.Context(), "select count(*) from pg_trigger where tgname = '_datawatch_insert'").Scan(&others); err != nil || others != 2 {
		t.Errorf("%d triggers of the other source, %v", others, err)
	}
	ok("remove")
	if _, stdout, _ := run(t, byWAL, "check"); strings.Contains(stdout, "are left") {
		t.Errorf("check of a source by wal: %s", stdout)
	}
	if _, stdout, _ := run(t, yaml(""), "check"); !strings.Contains(stdout, "triggers fit better") {
		t.Errorf("check of a source by triggers: %s", stdout)
	}
	var left int
	if err := db.QueryRow(t.Context(), "select count(*) from pg_replication_slots where database = current_database()").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d slots are left, %v", left, err)
	}
}

// TestStatusPrintsWhatPutsPublicationsRight, as its JSON does: it can be run as it stands there.
func TestStatusPrintsWhatPutsPublicationsRight(t *testing.T) {
	dsn := testrig.Postgres(t).Database(t)
	db, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(t.Context()) }()
	if _, err := db.Exec(t.Context(), "create table orders (id bigint primary key)"); err != nil {
		t.Fatal(err)
	}
	yaml := fmt.Sprintf("broker: {addresses: [\"127.0.0.1:1\"]}\ncollector: {sources: [{name: shop-db, postgres: {dsn: %q, capture: wal}}]}\n", dsn)
	_, printed, _ := run(t, yaml, "triggers", "status")
	_, data, _ := run(t, yaml, "triggers", "status", "--output", "json")
	var told struct{ Status struct{ Mend []string } }
	if err := json.Unmarshal([]byte(data), &told); err != nil || len(told.Status.Mend) == 0 {
		t.Fatalf("status: %s, %v", data, err)
	}
	head, rest, _ := strings.Cut(printed, "  what puts the publications right, a transaction each:\n    ")
	if !strings.Contains(head, ": incomplete") || strings.TrimSuffix(rest, "\n") != strings.Join(told.Status.Mend, "\n    ") {
		t.Errorf("status prints\n%sand tells %q", printed, told.Status.Mend)
	}
	for _, transaction := range strings.Split(strings.TrimSuffix(rest, "\n"), "\n    ") {
		if _, err := db.Exec(t.Context(), transaction); err != nil {
			t.Errorf("%s: %v", transaction, err)
		}
	}
	if _, printed, _ := run(t, yaml, "triggers", "status"); strings.Contains(printed, "puts the publications right") || strings.Contains(printed, "not published") {
		t.Errorf("afterwards: %s", printed)
	}
}
