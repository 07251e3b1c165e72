package postgres

import (
	"cmp"
	_ "embed"
	"strconv"
	"strings"
)

//go:embed sql/upgrade2.sql
var upgrade2SQL string

//go:embed sql/upgrade3.sql
var upgrade3SQL string

//go:embed sql/upgrade4.sql
var upgrade4SQL string

//go:embed sql/owners.sql
var ownersSQL string

// tagSQL bounds the tag, which each pack has.
const tagSQL = `do $$ begin
  if not exists (select from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
      where d.adrelid = 'datawatch.outbox'::regclass and a.attname = 'tag' and strpos(pg_get_expr(d.adbin, d.adrelid), '1000') > 0) then
    alter table datawatch.outbox alter column tag set default nullif(left(current_setting('datawatch.tag', true), 1000), '');
  end if;
end $$;`

// contentSQL is for functions that look for a shape by what it says.
const contentSQL = `create index if not exists shapes_hash on datawatch.shapes (hashtextextended(shape::text, 0));
drop index if exists datawatch.shapes_content;`

// upgradeBytes is how much the outbox may hold when it gets other indexes, for which writers wait. Until then, rotate leaves less.
const upgradeBytes = 16 << 20

// upgrade makes the present installation of an earlier one.
func (s *Source) upgrade(from installed, functions string) []string {
	places := strings.Replace(upgrade4SQL, "{{most}}", strconv.FormatInt(cmp.Or(s.limits.upgradeBytes, upgradeBytes), 10), 1)
	const gate = "update datawatch.queue set current = current; -- which sets the gate"
	if from.version >= versionSingles {
		if from.version < versionPlaces {
			return []string{places, orderSQL, numberFunction(true), contentSQL, functions, tagSQL, ownersSQL, gate}
		}
		return []string{numberFunction(from.upgrading), contentSQL, functions, tagSQL, ownersSQL, gate}
	}
	var steps []string
	tables := "single"
	if from.version < versionBinary {
		steps, tables = append(steps, upgrade2SQL), "outbox,single"
	}
	steps = append(steps, upgrade3SQL, singleSQL())
	if from.lz4 {
		steps = append(steps, strings.ReplaceAll(lz4SQL, "{{tables}}", tables))
	}
	return append(steps, places, orderSQL, numberFunction(true), contentSQL, functions, tagSQL, ownersSQL, gateSQL, gate)
}

// planEnd ends an upgrade, when all functions are made anew.
func planEnd(state installed) []Statement {
	if state.version == 0 || !state.upgrading && !state.leftover {
		return nil
	}
	steps := []Statement{
		{SQL: switchSQL, Why: "has statements numbered by their place in the WAL; until then lastval() may be capture's"},
		{SQL: plainSQL, Why: "makes that quicker"},
		{SQL: tidySQL, Why: "tidies up; what is captured doesn't depend on it"},
	}
	if !state.upgrading {
		steps = steps[1:]
	}
	for i := range steps {
		steps[i].Lock, steps[i].Optional = lockNone, true
	}
	return steps
}

const (
	// noteSQL notes the transactions that run in this database.
	noteSQL = `    running := array(select l.virtualtransaction from pg_locks l join pg_stat_activity a on a.pid = l.pid where l.locktype = 'virtualxid' and l.granted
      and a.datid = (select d.oid from pg_database d where d.datname = current_database()) and l.pid <> pg_backend_pid());
    execute format('comment on sequence datawatch.places is %L', running);`
	// openSQL tells whether one of them is open still.
	openSQL = "exists (select from pg_locks l where l.locktype = 'virtualxid' and l.granted and l.virtualtransaction = any (running))"
)

// olderSQL tells whether a table has a function of before.
const olderSQL = `exists (select from pg_proc p where p.pronamespace = 'datawatch'::regnamespace and p.prorettype = 'trigger'::regtype
      and left(p.proname, 8) = 'capture_' and strpos(p.prosrc, '` + numberSQL + `') = 0)`

// againSQL forgets who is waited for where a table has a function of before, which is about to be made anew.
const againSQL = `do $$ begin
  if ` + olderSQL + ` then
    comment on sequence datawatch.places is null;
  end if;
end $$;`

// Steps that end an upgrade. They do nothing where it isn't time yet.
const (
	// switchSQL has numbers be places, once those of the sequence are below them and all transactions have ended that were running when
	// there was no function of before any more: they may be at one. These are noted with the sequence, so that transactions that come
	// after them aren't waited for; for the last a moment.
	switchSQL = `do $$ declare
  running text[] := obj_description('datawatch.places'::regclass, 'pg_class');
begin
  if ` + olderSQL + ` then
    comment on sequence datawatch.places is null;
    raise warning 'a table has a function of before: run this again when all are made anew';
    return;
  end if;
  if running is null then
` + noteSQL + `
  end if;
  for i in 1..10 loop
    exit when not ` + openSQL + `;
    perform pg_sleep(0.1);
  end loop;
  if ` + openSQL + ` then
    raise warning 'a transaction is open that began before: run this again when it has ended';
  elsif ` + olderSQL + ` then
    comment on sequence datawatch.places is null;
    raise warning 'a table has a function of before: run this again when all are made anew';
  elsif (select last_value from datawatch.seq) + 1000000 > ` + placeSQL + ` then -- and those that are drawn meanwhile
    raise warning 'the numbers of before are higher than where the WAL ends: run this again when more has been written';
  else
    perform setval('datawatch.places', 1);
    comment on sequence datawatch.places is null;
  end if;
end $$;`

	// tidySQL drops what functions of before need, once all transactions have ended that were running when no function needed it.
	tidySQL = `do $$ declare
  running text[] := obj_description('datawatch.places'::regclass, 'pg_class');
begin
  if ` + olderSQL + ` or exists (select from pg_proc p where p.oid = 'datawatch.number'::regproc and strpos(p.prosrc, 'datawatch.places') > 0) then
    return;
  elsif running is null then
` + noteSQL + `
  end if;
  if not ` + openSQL + ` then
    drop sequence if exists datawatch.filled, datawatch.seq, datawatch.places;
  end if;
end $$;`
)

// plainSQL has numbers be nothing else than places.
var plainSQL = `do $$ begin
  if ` + switchedSQL + ` then
` + numberFunction(false) + `
  end if;
end $$;`
