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
