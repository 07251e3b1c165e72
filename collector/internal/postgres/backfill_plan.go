package postgres

import (
	"context"
	"fmt"

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
			keyed, leaf, estimate, err := walkable(ctx, db, t)
			if err != nil {
				return nil, err
			}
			if t.root && !keyed || !t.root && !leaf {
				continue
			}
			part := &backfill.Part{Stream: stream, Place: place{oid: t.oid}.String(), Estimate: estimate}
			if t.root {
				byKey[string(stream)] = true
			}
			parsed, err := parseShape(s.name, "", t.shape)
			if err != nil {
				return nil, err
			}
			if len(parsed.key) == 0 {
				part.Note = noteKeyless
			}
			parts = append(parts, part)
		}
	}
	return parts, nil
}

// walkable tells whether a table can be walked by a key, whether it holds rows itself, and about how many.
func walkable(ctx context.Context, db querier, t *table) (keyed, leaf bool, estimate int64, err error) {
	by, err := walkIndexOf(ctx, db, t)
	if err != nil {
		return false, false, 0, err
	}
	err = db.QueryRow(ctx, `select (select relkind = 'r' from pg_class where oid = $1),
		(select coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint from pg_class c
		 where c.oid = $1 or c.oid in (select relid from pg_partition_tree($1) where isleaf))`, t.oid).Scan(&leaf, &estimate)
	if err != nil {
		return false, false, 0, fmt.Errorf("find out how many rows %s has: %w", t.ident(), err)
	}
	return len(by.columns) > 0, leaf, estimate, nil
}
