package wal

import (
	"context"
	"fmt"

	"datawatch/collector/internal/postgres"
	"datawatch/pkg/daemon"
)

// Compare says which way of capture fits the server of a source that is captured by triggers, and whether a slot is left
// from the other one.
func Compare(ctx context.Context, name string, c postgres.Config) daemon.Finding {
	f := daemon.Finding{What: "source " + name + " capture"}
	s := New(name, c, Options{})
	db, err := s.connectReader(ctx)
	if err != nil {
		f.Err = err
		return f
	}
	defer postgres.CloseConn(ctx, db)
	server, slot, err := s.survey(ctx, db)
	if err != nil {
		f.Err = err
		return f
	}
	if server.standby {
		return f // which the source itself says
	}
	if slot != nil && slot.usable(s.names.slot, server) == nil {
		f.Err = fmt.Errorf("the slot %s is left from capture: wal, and holds back %d bytes of WAL", s.names.slot, slot.Retained)
		f.Remedy = fmt.Sprintf("select pg_drop_replication_slot('%s')", s.names.slot)
		return f
	}
	tables, err := s.listTables(ctx, db, server.version)
	if err != nil {
		f.Err = err
		return f
	}
	f.Detail = compare(&server, c.AllowUnboundedWAL, tables)
	return f
}

// compare says in a line what either way of capture would give here, and which fits. The costs are those of single-row
// writes at 8 clients (collector/README.md).
func compare(server *server, allowUnbounded bool, tables []*table) string {
	const triggers = "triggers give old rows, who did it and the tag everywhere, and leave about two thirds"
	if err := server.fit(allowUnbounded); err != nil {
		return fmt.Sprintf("triggers fit; wal doesn't here: %v", err)
	}
	whole, keys := 0, 0
	for _, t := range tables {
		switch {
		case t.partitioned || !captures(tables, t):
		case t.identity == "f":
			whole++
		case t.updates:
			keys++
		}
	}
	without := len(withoutUpdates(tables))
	costs := fmt.Sprintf("wal leaves writers about four fifths of their rate on a busy host, tells no actor, and gives old rows of %d tables, keys alone of %d, no updates of %d", whole, keys, without)
	switch {
	case without > 0:
		return "triggers fit better, or give those tables a replica identity: " + costs + "; " + triggers
	case keys > 0:
		return "wal fits where old rows aren't needed: " + costs + "; " + triggers
	default:
		return "wal fits: " + costs + "; " + triggers
	}
}

// captures tells whether a table is to be captured, by itself or with its partition tree.
func captures(all []*table, t *table) bool {
	return t.permanent && (t.wantAll || t.wantInserts || wanted(all, t.root))
}
