package postgres

const (
	// numberSQL is the number that a statement gets when it ends.
	numberSQL = "datawatch.number()"
	// placeSQL is where the WAL ends.
	placeSQL = "(pg_catalog.pg_current_wal_insert_lsn() operator(pg_catalog.-) '0/0'::pg_catalog.pg_lsn)::pg_catalog.int8"
	// sequenceSQL is the number of versions before versionPlaces.
	sequenceSQL = "pg_catalog.nextval('datawatch.seq')"
	// switchedSQL tells, while the sequence datawatch.places is there, whether numbers are places by now: it is seen at once.
	switchedSQL = "pg_catalog.pg_sequence_last_value('datawatch.places') is not null"
)

// numberFunction gives numbers. Whoever calls it has an id before the number, for the sake of marks. Until all functions of before have
// ended their work, and are no more, all draw from the sequence, as these do.
func numberFunction(upgrading bool) string {
	number := placeSQL
	if upgrading {
		number = "case when " + switchedSQL + " then " + placeSQL + " else " + sequenceSQL + " end"
	}
	return `-- The number that a statement gets when it ends: where the WAL ends then. What waited for another's commit has the higher one. Of a
-- sequence it would be as good, but for the session's lastval(), which is the application's.
create or replace function datawatch.number() returns bigint language sql as $body$
  select case when pg_catalog.pg_current_xact_id() is not null then ` + number + ` end
$body$;`
}

// drawnSQL is a number below all that are given from now on.
func drawnSQL(version int) string {
	const drawn = "coalesce(pg_sequence_last_value(to_regclass('datawatch.seq')), 0)"
	if version < versionPlaces {
		return drawn
	}
	return "case when to_regclass('datawatch.places') is null or pg_sequence_last_value(to_regclass('datawatch.places')) is not null\n" +
		"                  then " + placeSQL + " - 1 else " + drawn + " end"
}

// oneMoreSQL counts, without telling the session that a sequence was drawn from.
func oneMoreSQL(sequence string) string {
	return "(select setval('datawatch." + sequence + "', case when is_called then last_value + 1 else last_value end) from datawatch." + sequence + ")"
}

// olderSQL tells whether a table has a function of before.
const olderSQL = `exists (select from pg_proc p where p.pronamespace = 'datawatch'::regnamespace and p.prorettype = 'trigger'::regtype
      and left(p.proname, 8) = 'capture_' and strpos(p.prosrc, '` + numberSQL + `') = 0)`

// Steps that end an upgrade. They do nothing, and say so, where it isn't time yet.
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
    running := array(select l.virtualtransaction from pg_locks l join pg_stat_activity a on a.pid = l.pid where l.locktype = 'virtualxid' and l.granted
      and a.datid = (select d.oid from pg_database d where d.datname = current_database()) and l.pid <> pg_backend_pid());
    execute format('comment on sequence datawatch.places is %L', running);
  end if;
  for i in 1..10 loop
    exit when not exists (select from pg_locks l where l.locktype = 'virtualxid' and l.granted and l.virtualtransaction = any (running));
    perform pg_sleep(0.1);
  end loop;
  if exists (select from pg_locks l where l.locktype = 'virtualxid' and l.granted and l.virtualtransaction = any (running)) then
    raise warning 'a transaction is open that began before: run this again when it has ended';
  elsif ` + olderSQL + ` then
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
    running := array(select l.virtualtransaction from pg_locks l join pg_stat_activity a on a.pid = l.pid where l.locktype = 'virtualxid' and l.granted
      and a.datid = (select d.oid from pg_database d where d.datname = current_database()) and l.pid <> pg_backend_pid());
    execute format('comment on sequence datawatch.places is %L', running);
  end if;
  if not exists (select from pg_locks l where l.locktype = 'virtualxid' and l.granted and l.virtualtransaction = any (running)) then
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
