package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/testrig/postgres"
)

const within = 2 * time.Minute

// folder is a temporary one that everybody may enter, unlike t.TempDir: for root
// the server runs as somebody else.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "postgres-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func start(t *testing.T, o postgres.Options) *postgres.Server {
	t.Helper()
	s, err := postgres.Start(t.Context(), o)
	if errors.Is(err, postgres.ErrUnavailable) && os.Getenv("DATAWATCH_REQUIRE_SERVERS") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func run(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func ask(t *testing.T, dsn, sql string) string {
	t.Helper()
	conn := connect(t, dsn)
	defer conn.Close(t.Context())
	var text string
	if err := conn.QueryRow(t.Context(), sql).Scan(&text); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return text
}

func TestServersRunSideBySide(t *testing.T) {
	first := start(t, postgres.Options{Settings: map[string]string{"application_name": "it's the first"}})
	second := start(t, postgres.Options{})
	if err := first.CreateDatabase(t.Context(), `sh"op`); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, first.DSN(`sh"op`), "select current_setting('application_name')"); got != "it's the first" {
		t.Errorf("the setting is %q", got)
	}
	if got := ask(t, second.DSN("postgres"), "select count(*)::text from pg_database where datname like 'sh%'"); got != "0" {
		t.Error("the second server has the first one's database")
	}
}

func TestKilledServerKeepsWhatWasCommitted(t *testing.T) {
	s := start(t, postgres.Options{Settings: map[string]string{"fsync": "off"}})
	dsn := s.DSN("postgres")
	conn := connect(t, dsn)
	run(t, conn, "create table orders (id int)")
	run(t, conn, "insert into orders select generate_series(1, 1000)")
	run(t, conn, "begin; insert into orders values (1001)")
	busy := connect(t, dsn)
	go func() { _, _ = busy.Exec(context.Background(), "select count(*) from generate_series(1, 10000000000)") }()

	for range 2 {
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := s.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.DSN("postgres") != dsn {
			t.Errorf("the DSN was %s and is %s", dsn, s.DSN("postgres"))
		}
		if got := ask(t, dsn, "select count(*)::text from orders"); got != "1000" {
			t.Errorf("%s orders are left", got)
		}
	}
}

func TestStoppedServerGoesOnInItsFolder(t *testing.T) {
	dir := filepath.Join(folder(t), "made", "for it")
	s := start(t, postgres.Options{Dir: dir})
	conn := connect(t, s.DSN("postgres"))
	run(t, conn, "create table orders as select 42 id")
	run(t, conn, "alter system set work_mem = '7MB'")
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	s = start(t, postgres.Options{Dir: dir, Settings: map[string]string{"work_mem": "5MB"}})
	if got := ask(t, s.DSN("postgres"), "select id::text from orders"); got != "42" {
		t.Errorf("the order is %s", got)
	}
	if got := ask(t, s.DSN("postgres"), "show work_mem"); got != "7MB" {
		t.Errorf("work_mem is %s: ALTER SYSTEM has not the last word", got)
	}
}

func TestTemporaryFolderIsRemovedByStop(t *testing.T) {
	temporary := folder(t)
	t.Setenv("TMPDIR", temporary)
	s, err := postgres.Start(t.Context(), postgres.Options{})
	if errors.Is(err, postgres.ErrUnavailable) && os.Getenv("DATAWATCH_REQUIRE_SERVERS") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(temporary); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

func TestServerDiesWithItsParent(t *testing.T) {
	dir := folder(t)
	start(t, postgres.Options{}) // or skip
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentEnv+"="+dir)
	parent.Stderr = os.Stderr
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var s started
	if err := json.NewDecoder(stdout).Decode(&s); err != nil {
		t.Fatal(err)
	}
	ask(t, s.DSN, "select 'alive'")
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	pidFile := filepath.Join(dir, "data", "postmaster.pid") // removed last in an orderly shutdown
	for deadline := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(pidFile); os.IsNotExist(err) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server (%d) outlived its parent", s.PID)
		}
	}
}

func TestFolderThatTheServersUserCannotEnterIsNamed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("for anybody but root the server runs as the caller")
	}
	start(t, postgres.Options{}) // or skip
	closed := filepath.Join(folder(t), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := postgres.Start(t.Context(), postgres.Options{Dir: filepath.Join(closed, "pg")})
	if err == nil || !strings.Contains(err.Error(), closed+" can't be entered") {
		t.Errorf("Start gave %v", err)
	}
}

func TestStartThatFailsShowsWhatTheServerSaid(t *testing.T) {
	start(t, postgres.Options{}) // or skip
	_, err := postgres.Start(t.Context(), postgres.Options{Settings: map[string]string{"no_such": "setting"}})
	if err == nil || !strings.Contains(err.Error(), "no_such") {
		t.Errorf("Start gave %v", err)
	}
}

// A build that comes without Maven, tar or xz is the same as the one that comes with them.
func TestBuildIsFetchedWithoutMaven(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("DATAWATCH_CACHE", t.TempDir())
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	dir, err := postgres.Fetch(t.Context(), "17")
	if errors.Is(err, postgres.ErrUnavailable) && os.Getenv("DATAWATCH_REQUIRE_SERVERS") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(dir, "bin", "postgres"), "--version").Output()
	if err != nil || !strings.Contains(string(out), "(PostgreSQL) 17.6") {
		t.Errorf("postgres --version: %q, %v", out, err)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestBuildThatThereIsntIsUnavailable(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("DATAWATCH_CACHE", t.TempDir())
	if dir, err := postgres.Fetch(t.Context(), "17.99.0"); !errors.Is(err, postgres.ErrUnavailable) || !strings.Contains(err.Error(), "17.99.0") {
		t.Errorf("Fetch gave %q, %v", dir, err)
	}
}
