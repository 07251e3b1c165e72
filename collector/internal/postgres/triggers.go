package postgres

import (
	"fmt"
	"slices"
	"strings"
)

// Names of triggers. They fire before those of the application whose names sort behind an underscore.
const (
	triggerInsert    = "_datawatch_insert"
	triggerUpdate    = "_datawatch_update"
	triggerDelete    = "_datawatch_delete"
	triggerTruncate  = "_datawatch_truncate"
	triggerTruncated = "_datawatch_truncated"
	// A MERGE that inserts into a partition and then updates rows of the tree would have PostgreSQL (15 to 18) give triggers the row that it
	// inserted last as the new image of each (tcs_original_insert_tuple in ExecPrepareTupleRouting): but not where that partition has a
	// trigger which could have changed the row. This one never fires.
	triggerMerge = "_datawatch_merge"
	// These announce statements and count their rows: see "Order within a transaction" in sql/functions.sql. The latter
	// two are copied to the partitions by PostgreSQL; their names end in the table's oid, so that none is in the way of
	// a table that is attached.
	triggerOpen = "_datawatch_open"
	triggerRows = "_datawatch_rows_"
	triggerGone = "_datawatch_gone_"
)

// Triggers that count rows never fire: their condition, which is looked at when a row has been changed, counts.
const (
	opens     = "before insert or update or delete on {{table}}\n  for each statement"
	countRows = "after insert or update on {{table}}\n  for each row when (" + counts + ")"
	countGone = "after delete on {{table}}\n  for each row when (" + counts + ")"
	counts    = "pg_catalog.set_config('datawatch.{{counter}}_{{oid}}',\n" +
		"    (coalesce(nullif(pg_catalog.current_setting('datawatch.{{counter}}_{{oid}}', true), ''), '0')::pg_catalog.int8 + 1)::pg_catalog.text, true) is null"
)

// firesWhen is when each trigger fires; one with transition tables takes a single event.
var firesWhen = map[string]string{
	triggerInsert:    "after insert on {{table}} referencing new table as datawatch_new\n  for each statement",
	triggerUpdate:    "after update on {{table}} referencing old table as datawatch_old new table as datawatch_new\n  for each statement",
	triggerDelete:    "after delete on {{table}} referencing old table as datawatch_old\n  for each statement",
	triggerTruncate:  "before truncate on {{table}}\n  for each statement",
	triggerTruncated: "after truncate on {{table}}\n  for each statement",
	triggerMerge:     "before insert on {{table}} -- never fires: with it, PostgreSQL tells what a MERGE does to the partition tree as it is\n  for each row when (false)",
	triggerOpen:      opens,
	triggerRows:      strings.ReplaceAll(countRows, "{{counter}}", "rows"),
	triggerGone:      strings.ReplaceAll(countGone, "{{counter}}", "gone"),
}

// triggerNames are the triggers that the table is to have.
func (t *table) triggerNames() []string {
	names := []string{triggerInsert, triggerUpdate, triggerDelete, triggerTruncate}
	if t.root {
		names = append(names, triggerTruncated)
	}
	if t.merged {
		names = append(names, triggerMerge)
	}
	if t.tracked {
		names = append(names, triggerOpen)
		if !t.leaf {
			names = append(names, t.rowTriggers()...)
		}
	}
	return names
}

// rowTriggers are those of rows, which PostgreSQL copies to the table's partitions.
func (t *table) rowTriggers() []string {
	return []string{fmt.Sprint(triggerRows, t.oid), fmt.Sprint(triggerGone, t.oid)}
}

// ofRows tells whether a trigger of the table is one of rows, as is what somebody renamed, perhaps.
func ofRows(trigger string) bool {
	_, ofStatements := firesWhen[trigger]
	return !ofStatements
}

// lacks tells whether some of what changes isn't captured.
func (t *table) lacks() bool {
	return !t.disabled && slices.ContainsFunc(t.triggerNames()[:4], func(name string) bool { return !slices.Contains(t.triggers, name) })
}

// spare are triggers that the table no longer needs, and those that somebody renamed, where the installer may drop them.
func (t *table) spare() []string {
	if !t.owned {
		return nil
	}
	wanted := t.triggerNames()
	return slices.DeleteFunc(slices.Clone(t.triggers), func(name string) bool {
		return slices.Contains(t.copied, name) || slices.Contains(wanted, name)
	})
}

// createTrigger is the SQL that makes a trigger of a table, which calls function.
func (t *table) createTrigger(name, function string) string {
	kind := name
	for _, counting := range []string{triggerRows, triggerGone} {
		if strings.HasPrefix(name, counting) {
			kind = counting
		}
	}
	fires := strings.NewReplacer("{{table}}", t.ident(), "{{oid}}", fmt.Sprint(t.oid)).Replace(firesWhen[kind])
	return fmt.Sprintf("create trigger %s %s execute function %s();", name, fires, function)
}
