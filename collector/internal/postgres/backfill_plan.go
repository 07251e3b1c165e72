package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"datawatch/collector/internal/source/backfill"
	"datawatch/pkg/event"
)

// noteKeyless is what doesn't hold of a table without a key.
const noteKeyless = "without a key: no row is missing, but one that was changed while it was read may have come twice"

// partsOf plans a snapshot: a part a table. A partition tree is walked by its root where that has a key, for then the rows
// come in one order wherever they lie; else partition by partition.
func (s *Source) partsOf(ctx context.Context, db querier, wanted func(event.Stream) bool) ([]*backfill.Part, error) {
	tables, _, err := s.tables(ctx, db)
	if err != nil {
		return nil, err
	}
	byKey := map[string]bool{} // roots
	var parts []*backfill.Part
	for _, rootFirst := range []bool{true, false} {
		for _, t := range tables {
			stream := event.StreamOf(s.name, event.TableEntity(t.rootSchema, t.rootName))
			if !wanted(stream) || t.root != rootFirst || byKey[string(stream)] {
				continue
			}
			keyed, leaf, estimate, err := s.walkable(ctx, db, t, stream)
			if err != nil {
				return nil, err
			}
			if t.root && !keyed && !leaf || !t.root && (!leaf || t.parted) {
				continue
			}
			if t.root {
				byKey[string(stream)] = true
			}
			parsed, err := parseShape(s.name, "", t.shape)
			if err != nil {
				return nil, err
			}
			parts = append(parts, partAt(stream, place{oid: t.oid}, estimate, len(parsed.key) == 0))
		}
	}
	return parts, nil
}

// walkable tells whether a table can be walked by a key, whether no other holds rows for it, and about how many.
func (s *Source) walkable(ctx context.Context, db querier, t *table, of event.Stream) (keyed, leaf bool, estimate int64, err error) {
	by, err := s.walkIndexOf(ctx, db, t, of)
	if err != nil {
		return false, false, 0, err
	}
	err = db.QueryRow(ctx, `select (select c.relkind = 'r' or not `+partsSQL+` from pg_class c where c.oid = $1),
		(select coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint from pg_class c
		 where c.oid = $1 or c.oid in (select relid from pg_partition_tree($1) where isleaf))`, t.oid).Scan(&leaf, &estimate)
	if err != nil {
		return false, false, 0, fmt.Errorf("find out how many rows %s has: %w", t.ident(), err)
	}
	return len(by.columns) > 0, leaf, estimate, nil
}

// partsSQL tells whether a partition tree has partitions that hold rows.
const partsSQL = `exists (select from pg_partition_tree($1) p join pg_class leaf on leaf.oid = p.relid where leaf.relkind = 'r')`

// split has the partitions of a tree read one by one, from their beginnings, where it can't be walked as a whole any more.
func (r *reader) split(ctx context.Context, tree event.Stream, at place, keyless bool) error {
	rows, err := r.db.Query(ctx, `select c.oid, greatest(c.reltuples, 0)::bigint from pg_partition_tree($1) p join pg_class c on c.oid = p.relid
		where c.relkind = 'r' order by c.relname, c.oid`, at.oid)
	if err != nil {
		return fmt.Errorf("list the partitions of %s: %w", tree, err)
	}
	var parts []*backfill.Part
	leaf := place{behind: at.behind}
	var estimate int64
	_, err = pgx.ForEachRow(rows, []any{&leaf.oid, &estimate}, func() error {
		parts = append(parts, partAt(tree, leaf, estimate, keyless))
		return nil
	})
	if err != nil {
		return fmt.Errorf("list the partitions of %s: %w", tree, err)
	}
	r.log.Info("a partition tree's snapshot begins anew, partition by partition: its key is gone, or hidden by now", "stream", tree, "partitions", len(parts))
	r.snapshots.Split(parts)
	return nil
}

func partAt(stream event.Stream, at place, estimate int64, keyless bool) *backfill.Part {
	p := &backfill.Part{Stream: stream, Place: at.String(), Estimate: estimate}
	if keyless {
		p.Note = noteKeyless
	}
	return p
}
