package postgres

import (
	"context"
	"crypto/md5"
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed sql/schema.sql
var schemaSQL string

//go:embed sql/functions.sql
var functionsSQL string

//go:embed sql/follow.sql
var followSQL string

//go:embed sql/capture.sql
var captureSQL string

//go:embed sql/capture_body.sql
var captureBodySQL string

//go:embed sql/append.sql
var appendSQL string

//go:embed sql/send.sql
var sendSQL string

//go:embed sql/guard.sql
var guardSQL string

//go:embed sql/upgrade.sql
var upgradeSQL string

//go:embed sql/lz4.sql
var lz4SQL string

const (
	// version is that of what is installed in the database.
	version = 3
	// oldestVersion is read as it is, and upgraded in place.
	oldestVersion = 2
)

// Statement is one step of an installation. Statements of one Table (empty: the schema datawatch) run in one transaction.
type Statement struct {
	Table string `json:"table,omitempty"`
	SQL   string `json:"sql"`
	// Lock is the strongest lock that the statement takes on something of the application's.
	Lock string `json:"lock"`
	// Optional statements may fail: Why says what they need, or are for, and what is done otherwise.
	Optional bool   `json:"optional,omitempty"`
	Why      string `json:"why,omitempty"`
}

// Locks tells whether the statement takes a lock that others of the application's wait for.
func (s Statement) Locks() bool { return s.Table != "" && !strings.HasPrefix(s.Lock, lockNone) }

// LockTimeout is how long an installation may hold up the writes of a table at a time, as PostgreSQL's setting.
const LockTimeout = lockTimeout

// Locks of statements.
const (
	lockNone      = "none on your tables"
	lockTable     = "SHARE ROW EXCLUSIVE on %s, for an instant: waits for its writers, and reads go on"
	lockExclusive = "ACCESS EXCLUSIVE on %s, for an instant"
)

// Plan gives the SQL that would install what is missing, in order. It changes nothing.
func (s *Source) Plan(ctx context.Context) ([]Statement, error) {
	db, err := s.connectInstaller(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn(ctx, db)
	reader, err := s.readerRole(ctx, db)
	if err == nil && reader == "" && !s.config.ManageTriggers { // whoever runs it may be another role than reads
		err = db.QueryRow(ctx, "select current_user").Scan(&reader)
	}
	if err != nil {
		return nil, err
	}
	return s.plan(ctx, db, reader)
}

// plan needs the name of the role that reads, "" where that is the installer itself.
func (s *Source) plan(ctx context.Context, db querier, reader string) ([]Statement, error) {
	state, err := s.installedState(ctx, db, reader)
	if err != nil {
		return nil, err
	}
	if err := state.readable(); err != nil {
		return nil, err
	}
	steps := s.planSchema(state, reader)
	tables, deselected, err := s.tables(ctx, db)
	if err != nil {
		return nil, err
	}
	if state.version > 0 {
		gone, err := orphans(ctx, db)
		if err != nil {
			return nil, err
		}
		steps = append(steps, gone...)
	}
	for _, t := range tables {
		t.sent = state.followed() && sendableShape(t.shape)
		installs, err := s.planTable(t)
		if err != nil {
			return nil, err
		}
		steps = append(steps, installs...)
		if state.version > 0 && t.function == "" {
			steps = append(steps, s.planNew(t))
		}
	}
	for _, t := range deselected {
		steps = append(steps, Statement{
			Table: t.ident(), SQL: "drop function " + t.function + "() cascade; -- and the triggers that call it",
			Lock: fmt.Sprintf(lockExclusive, t.ident()),
		})
	}
	return steps, nil
}

// orphans takes away the functions of tables that were dropped, and tells of it. A table that is there, and lost just its
// triggers, is installed anew.
func orphans(ctx context.Context, db querier) ([]Statement, error) {
	rows, err := db.Query(ctx, `select p.oid::regprocedure::text, p.shape,
			to_regclass(format('%I.%I', s.shape ->> 'schema', s.shape ->> 'table')) is null
		from (select p.*, substring(p.prosrc from 'shape constant bigint := (-?\d+);')::bigint as shape
			from pg_proc p join pg_namespace n on n.oid = p.pronamespace
			where n.nspname = 'datawatch' and p.proname like 'capture\_%' and p.prorettype = 'trigger'::regtype) p
		left join datawatch.shapes s on s.id = p.shape
		where not exists (select from pg_trigger t where t.tgfoid = p.oid) order by 1`)
	if err != nil {
		return nil, fmt.Errorf("list functions: %w", err)
	}
	var steps []Statement
	var function string
	var shape *int64
	var dropped bool
	_, err = pgx.ForEachRow(rows, []any{&function, &shape, &dropped}, func() error {
		sql := "drop function " + function + "; -- its table has no triggers any more"
		if dropped && shape != nil {
			sql = fmt.Sprintf("select datawatch.tell_moved(%d, null, null); -- its table was dropped\ndrop function %s;", *shape, function)
		}
		steps = append(steps, Statement{SQL: sql, Lock: lockNone, Optional: true, Why: "tidies up; what is captured doesn't depend on it"})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list functions: %w", err)
	}
	return steps, nil
}

func (s *Source) planSchema(state installed, reader string) []Statement {
	var steps []Statement
	add := func(sql string) { steps = append(steps, Statement{SQL: strings.TrimSpace(sql), Lock: lockNone}) }
	functions := installedFunctions()
	code := fmt.Sprintf("%x", md5.Sum([]byte(functions+followSQL)))
	if state.version == 0 {
		add(schemaSQL)
		if state.lz4 {
			add(lz4SQL)
		}
		add(functions)
		add(fmt.Sprintf("insert into datawatch.meta (version, server, code) values (%d, %s, %s);\n"+
			"insert into datawatch.queue (main, toast, room, expires)\n"+
			"select oid, reltoastrelid, %d, %s from pg_class where oid = 'datawatch.outbox_0'::regclass;\n"+
			"insert into datawatch.slots (slot) values (0), (1), (2);\n"+
			"insert into datawatch.progress default values;", version, quote(state.server), quote(code), s.room(), s.expires()))
	} else if state.code != code {
		if state.version < version {
			add(upgradeSQL)
			if state.lz4 {
				add(lz4SQL)
			}
		}
		add(functions)
		add("update datawatch.meta set code = " + quote(code) + ";")
	}
	if reader != "" && !state.granted {
		role := pgx.Identifier{reader}.Sanitize()
		add("grant usage on schema datawatch to " + role + ";\n" +
			"grant select on all tables in schema datawatch to " + role + ";\n" +
			"grant select on all sequences in schema datawatch to " + role + ";\n" +
			"grant update on datawatch.queue, datawatch.slots, datawatch.progress, datawatch.meta to " + role + ";\n" +
			"grant truncate on datawatch.outbox_0, datawatch.outbox_1, datawatch.outbox_2 to " + role + ";")
	}
	if state.mayFollow && (!state.follows || state.code != code) {
		steps = append(steps, Statement{
			Lock: lockNone, Optional: true, SQL: strings.TrimSpace(followSQL),
			Why: "needs a superuser; without it the collector sees within seconds what ALTER TABLE did",
		})
	}
	return steps
}

// installedFunctions are those that all tables share.
func installedFunctions() string {
	return strings.NewReplacer(
		"{{describe}}", describeSQLFunction(), "{{tracked}}", strings.TrimSpace(trackedSQL),
		"{{settings}}", allSettings.String(), "{{sendable}}", sendableList(),
		"{{open.name}}", triggerOpen, "{{open.fires}}", firesWhen[triggerOpen],
		"{{rows.name}}", triggerRows, "{{rows.fires}}", firesWhen[triggerRows],
		"{{gone.name}}", triggerGone, "{{gone.fires}}", firesWhen[triggerGone],
	).Replace(strings.TrimSpace(functionsSQL))
}

// describeSQLFunction is the query with the function's parameters in place of the placeholders.
func describeSQLFunction() string {
	return strings.NewReplacer("$1", "describe.relation", "$2", "describe.dropped").Replace(strings.TrimSpace(describeSQL))
}

func (s *Source) planTable(t *table) ([]Statement, error) {
	var steps []Statement
	add := func(lock, sql string) {
		steps = append(steps, Statement{Table: t.ident(), SQL: sql, Lock: lock})
	}
	function := t.function
	if function == "" {
		function = t.freshFunction
	}
	body := s.captureBody(t)
	if body != t.functionBody {
		add(lockNone, fmt.Sprintf("insert into datawatch.shapes (id, shape) values (%d, %s) on conflict (id) do nothing;", t.shapeID, quote(string(t.shape))))
		if was := shapeOf(t.functionBody); was != "" && was != strconv.FormatInt(t.shapeID, 10) {
			add(lockNone, fmt.Sprintf("select datawatch.tell_moved(%s, %d, %d);", was, t.shapeID, t.oid))
		}
		pinned, err := settingsOf(t.shape)
		if err != nil {
			return nil, err
		}
		add(lockNone, captureFunction(function, pinned, body)+";\nrevoke all on function "+function+"() from public;")
	}
	lock := fmt.Sprintf(lockTable, t.ident())
	for _, name := range t.triggerNames() {
		if slices.Contains(t.triggers, name) || t.disabled {
			continue
		}
		add(lock, t.createTrigger(name, function))
	}
	for _, name := range t.spare() {
		add(fmt.Sprintf(lockExclusive, t.ident()), "drop trigger "+name+" on "+t.ident()+";")
	}
	return steps, nil
}

var shapeConstant = regexp.MustCompile(`shape constant bigint := (-?\d+);`)

// shapeOf is the shape that a function was made for, "" where there is none.
func shapeOf(body string) string {
	if m := shapeConstant.FindStringSubmatch(body); m != nil {
		return m[1]
	}
	return ""
}

// planNew tells, behind the triggers and in their transaction, what wasn't captured of a table before it had them. Their
// lock lets nobody write meanwhile.
func (s *Source) planNew(t *table) Statement {
	since := "null"
	if !s.looked.IsZero() {
		since = quote(s.looked.UTC().Format(time.RFC3339Nano))
	}
	return Statement{Table: t.ident(), Lock: lockNone, SQL: fmt.Sprintf("select datawatch.tell_new(%d, %s, %s);", t.shapeID, quote(t.ident()), since)}
}

func captureFunction(function string, pinned settings, body string) string {
	head, tail, _ := strings.Cut(strings.TrimSpace(captureSQL), "as $capture$")
	_, tail, _ = strings.Cut(tail, "$capture$")
	head = strings.NewReplacer("{{function}}", function, "{{settings}}", pinned.String()).Replace(head)
	return head + "as $capture$" + body + "$capture$" + tail
}

// captureBody is what pg_proc.prosrc says of a function that is as it should be.
func (s *Source) captureBody(t *table) string {
	_, rest, _ := strings.Cut(captureSQL, "$capture$")
	source, _, _ := strings.Cut(rest, "$capture$")
	capture := strings.NewReplacer(
		"{{append}}", indent(strings.TrimSpace(appendSQL), "    "),
		"{{send}}", indent(strings.TrimSpace(sendSQL), "        "), "{{send.rest}}", indent(strings.TrimSpace(sendSQL), "    "),
	).Replace(strings.TrimSpace(captureBodySQL))
	declare, body := "", indent(capture, "  ")
	if s.config.OnError == onErrorFailOpen {
		declare, body, _ = strings.Cut(guardSQL, "begin\n")
		body = strings.TrimRight(strings.ReplaceAll(body, "{{capture}}", indent(capture, "      ")), "\n")
	}
	source = strings.NewReplacer("{{guard.declare}}", declare, "{{body}}", body).Replace(source)
	return strings.NewReplacer(
		"{{table}}", strings.NewReplacer("\n", " ", "$", "").Replace(t.ident()),
		"{{closed}}", closedSQL, "{{closed.looked}}", closedLookedSQL, "{{counted}}", countedSQL,
		"{{shape}}", strconv.FormatInt(t.shapeID, 10), "{{sent}}", strconv.FormatBool(t.sent),
		"{{row datawatch_new}}", rowSQL("datawatch_new", t.drop),
		"{{row datawatch_old}}", rowSQL("datawatch_old", t.drop),
	).Replace(source)
}

// These tell whether nothing is captured: true where there is no room or no collector came, null where somebody switched
// capture off. The first is for statements of a single row, which needn't look each time: see datawatch.is_full.
const (
	closedSQL = "case when off is null then clock_timestamp() > expires or\n" +
		"      (drawn & 63 = 0 or room < 134217728 or pg_sequence_last_value('datawatch.filled') is not distinct from 2) and datawatch.is_full() end"
	closedLookedSQL = "case when queue.off is null then moment > queue.expires or datawatch.is_full() end"
)

// countedSQL is how many rows of the transaction were captured before this one, which it counts.
const countedSQL = "set_config('datawatch.written',\n" +
	"      (coalesce(nullif(current_setting('datawatch.written', true), ''), '0')::bigint + 1)::text, true)::bigint - 1"

// rowSQL prints a row. The name with a star is always the whole row, whatever its columns are called.
func rowSQL(relation string, drop []string) string {
	if len(drop) == 0 {
		return "to_json(" + relation + ".*)::text"
	}
	quoted := make([]string, len(drop))
	for i, d := range drop {
		quoted[i] = quote(d)
	}
	return "(to_jsonb(" + relation + ".*) - array[" + strings.Join(quoted, ", ") + "])::text"
}

func indent(text, by string) string {
	return by + strings.ReplaceAll(text, "\n", "\n"+by)
}

func quote(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(text, `\`) {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

func (s *Source) room() int64 {
	if s.config.Outbox.WhenFull == whenFullGrow {
		return 1 << 62
	}
	return int64(s.config.Outbox.MaxBytes)
}

// expires is the SQL of the moment until which triggers capture when no collector comes any more.
func (s *Source) expires() string {
	if s.config.Outbox.WhenFull == whenFullGrow {
		return "'infinity'"
	}
	return fmt.Sprintf("now() + interval '%d seconds'", int64(s.config.Outbox.MaxAge.Std().Seconds()))
}
