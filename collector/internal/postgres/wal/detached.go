package wal

import (
	"context"
	"fmt"
)

// place is where the catalog has a partition: the oid of its tree's root, 0 where it is in none, and the rows by which it is there.
type place struct {
	tree uint32
	rows string
}

// moved tells whether what the stream tells of a partition may not be of the tree that it was known in: it isn't there any more, or was
// detached for a while, and was published then. The server tells of a relation anew behind whatever moves or publishes it, so that what held
// at one time holds until it does.
func (r *reader) moved(ctx context.Context, rel *relation, before *knownTable) (bool, error) {
	if before == nil || !before.Root || r.kept[rel.id] {
		return false, nil
	}
	_, again := r.kept[rel.id]
	was := r.rows.place(rel.id)
	var moved bool
	switch elsewhere := before.Tree != 0 && rel.at.tree != before.Tree; {
	case rel.at.tree != 0 && !elsewhere && (before.Early || was == "" || was == rel.at.rows):
	case again && !r.server.followsPartitions():
		moved = true
	default:
		var err error
		if moved, err = r.publishedApart(ctx, rel, elsewhere); err != nil {
			return false, err
		}
	}
	r.kept[rel.id] = !moved
	return moved, nil
}

// publishedApart tells whether a partition that isn't where it was may be, or have been, published otherwise than with its tree: by itself, or
// with another one. Where it wasn't, all that comes was written before.
func (r *reader) publishedApart(ctx context.Context, rel *relation, elsewhere bool) (bool, error) {
	apart := r.rows.byItself(rel.id)
	var by []uint32
	if elsewhere && rel.at.tree != 0 {
		by = append(by, rel.at.tree)
	}
	if !r.config.ManageTriggers || r.tx.lsn >= r.server.lsn { // what this run has published since came behind that
		by = append(by, rel.id)
		for _, l := range []*look{r.look, r.later} {
			apart = apart || l != nil && l.rows.byItself(rel.id)
		}
	}
	if apart || len(by) == 0 {
		return apart, nil
	}
	return r.catalog.published(ctx, r.names, by...)
}

// published tells whether one of some relations is in a publication by itself.
func (c *catalog) published(ctx context.Context, n names, ids ...uint32) (is bool, err error) {
	err = c.db.QueryRow(ctx, "select exists (select from pg_publication_rel pr join pg_publication p on p.oid = pr.prpubid where pr.prrelid = any ($1) and p.pubname in ($2, $3))",
		ids, n.all, n.inserts).Scan(&is)
	if err != nil {
		return false, fmt.Errorf("look whether relations %d are published: %w", ids, err)
	}
	return is, nil
}
