package postgres

import (
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/event"
)

//go:embed sql/schema.sql
var schemaSQL string

//go:embed sql/functions.sql
var functionsSQL string

//go:embed sql/rows.sql
var rowsSQL string

//go:embed sql/strangers.sql
var strangersSQL string

//go:embed sql/expressions.sql
var expressionsSQL string

//go:embed sql/partition_keys.sql
var partitionKeysSQL string

// strangers tells in SQL whether what a table, named relation, has of expressions has code of others than superusers and whoever asks.
func strangers(written string) string {
	return strings.Replace(strings.TrimSpace(strangersSQL), "{{written}}", indent(strings.TrimSpace(written), "    "), 1)
}

//go:embed sql/follow.sql
var followTemplate string

var followSQL = strings.ReplaceAll(strings.TrimSpace(followTemplate), "{{shape.of p}}", shapeOfSQL)

// followCode is what the event trigger's comment says: it comes in a transaction of its own.
var followCode = fmt.Sprintf("%x", sha256.Sum256([]byte(followSQL)))

//go:embed sql/single.sql
var singleTemplate string

//go:embed sql/single_packs.sql
var singlePacksSQL string

//go:embed sql/gate.sql
var gateSQL string

//go:embed sql/order.sql
var orderTemplate string

//go:embed sql/single_order.sql
var singleOrderSQL string

var orderSQL = strings.TrimSpace(orderTemplate) + "\n" + eachSlot(strings.TrimSpace(singleOrderSQL), "\n")

//go:embed sql/lz4.sql
var lz4SQL string

const (
	// version is that of what is installed in the database.
	version = 5
	// oldestVersion and those behind it are read as they are, and upgraded in place.
	oldestVersion = 2
	// versionBinary is the first that has rows in PostgreSQL's binary form, versionSingles that has tables of their own for
	// statements that change a single row, versionPlaces that numbers statements by their place in the WAL.
	versionBinary, versionSingles, versionPlaces = 3, 4, 5
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
	if err := refuseStandby(ctx, db); err != nil {
		return nil, err
	}
	if err := tellsPlaces(ctx, db); err != nil {
		return nil, err
	}
	state, err := s.installedState(ctx, db, reader)
	if err != nil {
		return nil, err
	}
	if err := state.readable(); err != nil {
		return nil, err
	}
	functions, err := s.functions()
	if err != nil {
		return nil, err
	}
	steps := s.planSchema(state, reader, functions)
	if state.upgrading {
		steps = append(steps, Statement{SQL: againSQL, Lock: lockNone, Why: "waits anew for transactions where a function of an earlier datawatch came back", Optional: true})
	}
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
	if slices.ContainsFunc(tables, func(t *table) bool { return t.restored() || len(t.borrowed) > 0 }) {
		steps = append(steps, Statement{SQL: "select datawatch.drop_strangers(); -- tables came with a dump, and packs with it, perhaps", Lock: lockNone})
	}
	for _, t := range deselected { // before another one that has its name begins to write
		steps = append(append(steps, t.leave()...), t.dropBorrowed()...)
	}
	// A tree's root first: it tells that the stream ends, and partitions what it then begins with.
	slices.SortStableFunc(tables, func(a, b *table) int { return strings.Compare(strconv.FormatBool(a.leaf), strconv.FormatBool(b.leaf)) })
	for _, t := range tables {
		t.print(state.followed() && sendableShape(t.shape))
		installs, err := s.planTable(t)
		if err != nil {
			return nil, err
		}
		if state.version > 0 && t.lacks() && !t.overForeign {
			installs = append(installs, s.planNew(t))
		}
		for i := range installs {
			installs[i].stream = event.StreamOf(s.name, event.TableEntity(t.rootSchema, t.rootName))
		}
		steps = append(steps, installs...)
	}
	return append(steps, planEnd(state)...), nil
}

// orphans takes away the functions of tables that were dropped, and tells of it. A table that is there, and lost just its
// triggers, is installed anew.
func orphans(ctx context.Context, db querier) ([]Statement, error) {
	// A table of its name that was made later than the function, or that has one, isn't the one that it was made for. System columns are as old
	// as their table.
	rows, err := db.Query(ctx, `select p.oid::regprocedure::text, p.shape,
			not exists (select from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum = -1
				where c.oid = named.oid and c.relkind in ('r', 'p') and age(a.xmin) >= age(p.made)) or other.oid is not null
		from (select p.*, p.xmin as made, `+shapeOfSQL+` as shape
			from pg_proc p join pg_namespace n on n.oid = p.pronamespace
			where n.nspname = 'datawatch' and p.proname like 'capture\_%' and p.prorettype = 'trigger'::regtype) p
		left join datawatch.shapes s on s.id = p.shape
		left join lateral (select to_regclass(quote_ident(s.shape ->> 'schema') || '.' || quote_ident(s.shape ->> 'table'))::oid as oid) named on true
		left join lateral (select t.oid from pg_trigger t join pg_proc p on p.oid = t.tgfoid
			where t.tgrelid = named.oid and t.tgname = '_datawatch_insert' and p.pronamespace = 'datawatch'::regnamespace and left(p.proname, 8) = 'capture_') other on true
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
			sql = fmt.Sprintf("select datawatch.tell_moved_since(%d, null, null, null); -- its table was dropped\ndrop function %s;", *shape, function)
		}
		steps = append(steps, Statement{SQL: sql, Lock: lockNone, Optional: true, Why: "tidies up; what is captured doesn't depend on it"})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list functions: %w", err)
	}
	return steps, nil
}

func (s *Source) planSchema(state installed, reader, functions string) []Statement {
	var steps []Statement
	add := func(sql string) { steps = append(steps, Statement{SQL: strings.TrimSpace(sql), Lock: lockNone}) }
	code := codeOf(functions)
	if state.version == 0 {
		add(schemaSQL)
		add(singleSQL())
		add(orderSQL)
		add(numberFunction(false))
		if state.lz4 {
			add(strings.ReplaceAll(lz4SQL, "{{tables}}", "outbox,single"))
		}
		add(functions)
		add(gateSQL)
		add(fmt.Sprintf("insert into datawatch.meta (version, server, code) values (%d, %s, %s);\n"+
			"insert into datawatch.queue (main, toast, room, expires)\n"+
			"select oid, reltoastrelid, %d, %s from pg_class where oid = 'datawatch.outbox_0'::regclass;\n"+
			"insert into datawatch.slots (slot) values (0), (1), (2);\n"+
			"insert into datawatch.progress default values;", version, Quote(state.server), Quote(code), s.room(), s.expires()))
	} else if state.code != code {
		for _, sql := range s.upgrade(state, functions) {
			add(sql)
		}
		add("update datawatch.meta set code = " + Quote(code) + ";")
	}
	if reader != "" && (!state.granted || state.version < version) {
		role := pgx.Identifier{reader}.Sanitize()
		add("grant usage on schema datawatch to " + role + ";\n" +
			"grant select on all tables in schema datawatch to " + role + ";\n" +
			"grant select on all sequences in schema datawatch to " + role + ";\n" +
			"grant update on datawatch.queue, datawatch.slots, datawatch.progress, datawatch.meta to " + role + ";\n" +
			"grant truncate on " + allTables(version) + " to " + role + ";")
	}
	if state.mayFollow && (!state.follows || state.followCode != followCode) {
		steps = append(steps, Statement{
			Lock: lockNone, Optional: true, SQL: followSQL + "\ncomment on event trigger datawatch_follow is '" + followCode + "';",
			Why: "needs a superuser; without it the collector sees within seconds what ALTER TABLE did",
		})
	}
	return steps
}

// singleSQL makes the tables for statements that change a single row, and the view of all packs.
func singleSQL() string {
	return strings.Replace(strings.TrimSpace(singleTemplate), "{{singles}}", eachSlot(strings.TrimSpace(singlePacksSQL), "\n"), 1)
}

// eachSlot is a text for each slot.
func eachSlot(template, between string) string {
	texts := make([]string, slots)
	for i := range texts {
		texts[i] = strings.ReplaceAll(template, "{{slot}}", strconv.Itoa(i))
	}
	return strings.Join(texts, between)
}

// fullSQL tells, of the queue, whether what is written to now has reached its cap.
const fullSQL = "(coalesce(pg_relation_size(main), 0) + coalesce(pg_relation_size(nullif(toast, 0)), 0)\n" +
	"    + pg_table_size(('datawatch.single_' || current)::regclass) > room)"

// codeOf is what datawatch.meta says of functions that are installed.
func codeOf(functions string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(numberFunction(false)+functions)))
}

// functions are those that all tables share.
func (s *Source) functions() (string, error) {
	masked, err := maskedSQL(s.name, s.options.Mask)
	if err != nil {
		return "", err
	}
	were, pin, restore := settingsSQL()
	return strings.NewReplacer(
		"{{number}}", numberSQL, "{{place}}", placeSQL, "{{one more unnoted}}", oneMoreSQL("unnoted"), "{{one more skipped}}", oneMoreSQL("skipped"), "{{shape.of p}}", shapeOfSQL, "{{table.of p}}", tableOfSQL, "{{describe}}", describeSQLFunction(), "{{tracked}}", strings.TrimSpace(trackedSQL),
		"{{words said}}", wordsSQL("said"),
		"{{full}}", fullSQL, "{{strange expressions}}", strangers(expressionsSQL), "{{strange keys}}", strangers(partitionKeysSQL), "{{settings}}", allSettings.String(),
		"{{settings.were}}", were, "{{settings.pin}}", pin, "{{settings.restore}}", restore, "{{sendable}}", sendableList(),
		"{{merge.name}}", triggerMerge, "{{open.name}}", triggerOpen, "{{open.fires}}", firesWhen[triggerOpen],
		"{{rows.name}}", triggerRows, "{{rows.fires}}", firesWhen[triggerRows],
		"{{gone.name}}", triggerGone, "{{gone.fires}}", firesWhen[triggerGone], "{{masked}}", masked, "{{as it was}}", asItWas, "{{not as it was}}", notAsItWas,
	).Replace(strings.Replace(strings.TrimSpace(functionsSQL), "{{rows}}", strings.TrimSpace(rowsSQL), 1)), nil
}

// describeSQLFunction is the query with the function's parameters in place of the placeholders.
func describeSQLFunction() string {
	return strings.NewReplacer("$1", "describe.relation", "$2", "describe.dropped").Replace(strings.TrimSpace(describeSQL))
}

// overForeignSQL ends the installation of a table. PostgreSQL refuses to write through it to foreign tables for a trigger that captures.
const overForeignSQL = `do $$ begin raise exception 'a partition or a child of it is a foreign table, and PostgreSQL refuses writes through a captured table to such: detach it, or exclude the table'; end $$;`

func (s *Source) planTable(t *table) ([]Statement, error) {
	var steps []Statement
	add := func(lock, sql string) {
		steps = append(steps, Statement{Table: t.ident(), SQL: sql, Lock: lock})
	}
	if t.overForeign {
		if t.function == "" {
			add(lockNone, overForeignSQL)
		} else {
			steps = append(steps, t.dropFunction())
		}
		return steps, nil
	}
	function := cmp.Or(t.function, t.freshFunction)
	body := s.captureBody(t)
	if t.outdated(body) {
		if !t.numbered {
			add(lockNone, "select "+numberSQL+"; -- without which nothing could be captured: it comes with the schema")
		}
		add(lockNone, fmt.Sprintf("insert into datawatch.shapes (id, shape) values (%d, %s) on conflict (id) do nothing;", t.shapeID, Quote(string(t.shape))))
		if was := shapeOf(t.functionHead); was != "" && was != strconv.FormatInt(t.shapeID, 10) {
			add(fmt.Sprintf(lockMoved, t.ident()), fmt.Sprintf("select datawatch.tell_moved_since(%s, %d, %d, null);", was, t.shapeID, t.oid))
		}
		if t.restored() {
			add(lockNone, fmt.Sprintf("select datawatch.tell_restored(%d, '%s()'::regprocedure, %s);", t.shapeID, t.function, s.sinceSQL()))
		}
		var pinned settings
		if !t.sent {
			var err error
			if pinned, err = settingsOf(t.shape); err != nil {
				return nil, err
			}
		}
		add(lockNone, captureFunction(function, pinned, body)+";\n"+
			"-- Whoever makes a partition needs it, since PostgreSQL copies row triggers to it; to name it takes a right on the schema.\n"+
			"revoke all on function "+function+"() from public; grant execute on function "+function+"() to public;")
	}
	steps = append(steps, t.dropBorrowed()...)
	later := false // in a transaction of its own, so that nothing else of a captured table waits for its lock
	for _, name := range t.triggerNames() {
		if slices.Contains(t.triggers, name) || t.disabled {
			continue
		}
		if name == triggerMerge && !t.lacks() {
			later = true
			continue
		}
		if t.root && slices.Contains(t.rowTriggers(), name) {
			add(lockNone, fmt.Sprintf("select datawatch.refuse_key(%d);", t.oid))
		}
		steps = append(steps, t.locking(lockTable, t.createTrigger(name, function), ofRows(name)))
	}
	for _, name := range t.spare() {
		steps = append(steps, t.locking(lockExclusive, "drop trigger "+name+" on "+t.ident()+";", ofRows(name)))
	}
	if later {
		steps = append(steps, t.locking(lockTable, t.createTrigger(triggerMerge, function), ofRows(triggerMerge)))
		last := &steps[len(steps)-1]
		last.Optional, last.Why = true, "until it is there, what a MERGE updates that inserts into the partition tree, too, is a gap"
	}
	return steps, nil
}

// shapeLine is the line of a capture function that tells its shape. Functions have names of tables too, but no line begins with one.
const (
	shapeLine = `\n(?:-- |  )shape constant bigint := (-?[0-9]+);`
	// shapeOfSQL is the shape of a function p; to look at the whole text of each takes time where there are many.
	shapeOfSQL = `substring(left(p.prosrc, 1000) from E'` + shapeLine + `')::bigint`
	// tableOfSQL is the oid of the table that it was made for.
	tableOfSQL = `substring(left(p.prosrc, 1000) from E'\\n-- relation constant oid := /[*] of [*]/ ([0-9]+);')::oid`
)

var shapeConstant = regexp.MustCompile(shapeLine)

// shapeOf is the shape that a function was made for, "" where there is none.
func shapeOf(body string) string {
	if m := shapeConstant.FindStringSubmatch(body); m != nil {
		return m[1]
	}
	return ""
}

func indent(text, by string) string {
	return by + strings.ReplaceAll(text, "\n", "\n"+by)
}

// Quote is a text as a literal of SQL.
func Quote(text string) string {
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
