package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"datawatch/pkg/event"
)

// Status is what is installed, against what the configuration asks for.
type Status struct {
	Version  int  `json:"version"` // 0: the schema datawatch isn't there, or without its data
	Complete bool `json:"complete"`
	// Missing are relations of the schema datawatch that somebody has dropped, or a dump couldn't bring.
	Missing []string `json:"missing,omitempty"`
	// Empty: the schema datawatch is there without its data, which a dump left out.
	Empty bool `json:"empty,omitempty"`
	// Off is since when capture is switched off in the database, by datawatch.off().
	Off          *time.Time    `json:"off,omitempty"`
	EventTrigger bool          `json:"event_trigger"` // ALTER TABLE is followed in its own transaction
	OutboxBytes  int64         `json:"outbox_bytes"`
	Tables       []TableStatus `json:"tables"`
	Idle         []string      `json:"idle,omitempty"` // patterns of the configuration that select no table
}

// TableStatus is one table that the configuration selects.
type TableStatus struct {
	Table    string       `json:"table"` // schema.table, quoted where it has to be
	Stream   event.Stream `json:"stream"`
	Key      []string     `json:"key"`               // empty: events have no key
	Missing  []string     `json:"missing,omitempty"` // triggers
	Disabled bool         `json:"disabled,omitempty"`
	Outdated bool         `json:"outdated,omitempty"` // the table was altered, or the configuration, since the function was made

	oid       uint32
	partition bool // with rows
}

// Complete tells whether nothing is left to do.
func (t TableStatus) Complete() bool { return len(t.Missing) == 0 && !t.Disabled && !t.Outdated }

// Status looks, and changes nothing.
func (s *Source) Status(ctx context.Context) (*Status, error) {
	db, err := s.connectReader(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn(ctx, db)
	return s.status(ctx, db)
}

func (s *Source) status(ctx context.Context, db querier) (*Status, error) {
	state, err := s.installedState(ctx, db, "")
	if err != nil {
		return nil, err
	}
	tables, _, err := s.tables(ctx, db)
	if err != nil {
		return nil, err
	}
	functions, err := s.functions()
	if err != nil {
		return nil, err
	}
	status := &Status{Version: state.version, Missing: state.missing, Empty: state.empty, Complete: state.version == version && len(state.missing) == 0 && state.code == codeOf(functions) && !state.upgrading, EventTrigger: state.follows, Idle: s.config.idle(tables)}
	if state.version > 0 && len(state.missing) == 0 {
		if status.OutboxBytes, err = outboxBytes(ctx, db); err != nil {
			return nil, err
		}
		if err := db.QueryRow(ctx, "select (to_jsonb(q) ->> 'off')::timestamptz from datawatch.queue q").Scan(&status.Off); err != nil {
			return nil, fmt.Errorf("ask whether capture is on: %w", err)
		}
		status.Complete = status.Complete && status.Off == nil
	}
	for _, t := range tables {
		parsed, err := parseShape(s.name, "", t.shape)
		if err != nil {
			return nil, err
		}
		t.print(state.followed() && sendableShape(t.shape))
		one := TableStatus{
			oid: t.oid, partition: t.leaf && !t.parted, Table: t.ident(), Stream: parsed.stream, Key: parsed.key, Disabled: t.disabled,
			Outdated: t.function != "" && t.outdated(s.captureBody(t)),
		}
		for _, name := range t.triggerNames() {
			if !t.disabled && !slices.Contains(t.triggers, name) {
				one.Missing = append(one.Missing, name)
			}
		}
		status.Complete = status.Complete && one.Complete()
		status.Tables = append(status.Tables, one)
	}
	return status, nil
}

// Half is an error where the installation can't be completed, since relations of the schema are missing, or its data.
func (s *Status) Half() error { return installed{missing: s.Missing, empty: s.Empty}.half() }

func outboxBytes(ctx context.Context, db querier) (int64, error) {
	var bytes int64
	err := db.QueryRow(ctx, "select "+bytesSQL("true")).Scan(&bytes)
	if err != nil {
		return 0, fmt.Errorf("measure the outbox: %w", err)
	}
	return bytes, nil
}
