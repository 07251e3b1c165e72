package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// settled is what the catalogs were when everything was installed.
type settled struct {
	catalogs *string // nil where it wasn't
	at       time.Time
}

// catalogs are the rows that an installation depends on, but for those of temporary tables.
var catalogs = []string{
	"pg_class x where x.relpersistence <> 't'",
	"pg_attribute x join pg_class c on c.oid = x.attrelid and c.relpersistence <> 't'",
	"pg_index x join pg_class c on c.oid = x.indrelid and c.relpersistence <> 't'",
	"pg_constraint x left join pg_class c on c.oid = x.conrelid where c.relpersistence is distinct from 't'",
	"pg_trigger x join pg_class c on c.oid = x.tgrelid and c.relpersistence <> 't'",
	"pg_type x left join pg_namespace n on n.oid = x.typnamespace where n.nspname not like 'pg\\_temp\\_%'",
	"pg_namespace x where x.nspname not like 'pg\\_%'",
	"pg_proc x", "pg_inherits x", "pg_partitioned_table x", "pg_statistic_ext x", "pg_enum x", "pg_cast x", "pg_range x", "pg_operator x", "pg_opclass x",
	"pg_language x", "pg_event_trigger x", "pg_auth_members x", "pg_database x where x.datname = current_database()", "datawatch.meta x",
}

// catalogsSQL sums them up: each change of a row gives it another xmin. It is null while an upgrade isn't over, which waits for transactions.
func catalogsSQL() string {
	sums := make([]string, len(catalogs))
	for i, rows := range catalogs {
		sums[i] = "select concat(count(*), ':', sum(hashint8(x.xmin::text::bigint))) from " + rows
	}
	return `select case when m.version = $1 and coalesce(to_regclass('datawatch.filled'), to_regclass('datawatch.seq'), to_regclass('datawatch.places')) is null
		then concat_ws(' ', (` + strings.Join(sums, "), (") + `)) end from datawatch.meta m`
}

// unchanged tells whether the catalogs are what they were when everything was installed last, and notes what they are now.
func (s *Source) unchanged(ctx context.Context, db querier) (bool, error) {
	was := s.settled
	s.settled = settled{at: time.Now()}
	if err := db.QueryRow(ctx, catalogsSQL(), version).Scan(&s.settled.catalogs); err != nil {
		return false, fmt.Errorf("look whether anything has changed: %w", err)
	}
	now := s.settled
	if was.catalogs == nil || now.catalogs == nil || *was.catalogs != *now.catalogs || now.at.Sub(was.at) > anywayEvery {
		return false, nil
	}
	s.settled = was
	return true, nil
}
