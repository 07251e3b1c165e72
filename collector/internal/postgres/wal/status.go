package wal

import (
	"context"
	"slices"

	"datawatch/collector/internal/postgres"
)

// Status is what is there of the source in the database, against what the configuration asks for.
type Status struct {
	Slot     string        `json:"slot"`
	There    bool          `json:"there"` // the slot
	State    string        `json:"wal_status,omitempty"`
	Retained int64         `json:"retained_bytes"` // WAL that the server keeps for it
	Complete bool          `json:"complete"`
	Tables   []TableStatus `json:"tables"`
	Mend     []string      `json:"mend,omitempty"` // SQL that would put the publications right, a transaction each
}

// TableStatus is one table or partition that the configuration selects.
type TableStatus struct {
	Table   string `json:"table"` // schema.table, quoted where it has to be
	Updates bool   `json:"updates"`
	Missing bool   `json:"missing,omitempty"` // not yet published, or not as it is to be
	Before  bool   `json:"before"`            // old rows come whole
}

// Status looks, and changes nothing.
func (s *Source) Status(ctx context.Context) (*Status, error) {
	db, err := s.connectReader(ctx)
	if err != nil {
		return nil, err
	}
	defer postgres.CloseConn(ctx, db)
	server, slot, err := s.surveyOwn(ctx, db)
	if err != nil {
		return nil, err
	}
	all, inserts, err := askPublications(ctx, db, s.names, server.version)
	if err != nil {
		return nil, err
	}
	tables, err := s.listTables(ctx, db, server.version)
	if err != nil {
		return nil, err
	}
	steps, err := s.planPublications(ctx, db, server, slot != nil, nil)
	if err != nil {
		return nil, err
	}
	status := &Status{Mend: mending(steps), Slot: s.names.slot, There: slot != nil, Complete: slot != nil && slot.lost().IsZero() && all.asWanted && inserts.asWanted}
	if slot != nil {
		status.State, status.Retained = slot.WALStatus, slot.Retained
	}
	without := withoutUpdates(tables)
	for _, t := range tables {
		missing := t.missing()
		if !t.wantAll && !t.wantInserts && !missing {
			continue
		}
		status.Complete = status.Complete && !missing
		status.Tables = append(status.Tables, TableStatus{
			Table: t.ident(), Missing: missing, Updates: !slices.Contains(without, t) && !t.wantInserts, Before: t.identity == "f",
		})
	}
	return status, nil
}
