package wal

import (
	"fmt"
	"strings"
	"testing"
)

// TestWhatAnUpgradeToEighteenRefusesIsToldBefore: a publication that a server of before had, upgraded or from a dump, publishes no generated
// columns, and the updates of a table whose old rows come whole fail until it does.
func TestWhatAnUpgradeToEighteenRefusesIsToldBefore(t *testing.T) {
	const table = `create table t (id int primary key, v int, twice int generated always as (v * 2) stored); alter table t replica identity full; insert into t values (1, 1)`
	before := newRigOn(t, databaseOn(t, "17"), table, `create table by_key (id int primary key, v int generated always as (1) stored)`)
	before.install()
	before.exec(`update t set v = 2`)
	var told string
	for line := range strings.Lines(findingsText(before.source().Check(t.Context()))) {
		if strings.Contains(line, " upgrades: ") {
			told = line
		}
	}
	if strings.Contains(told, "by_key") {
		t.Errorf("check says %q", told)
	}
	_, mend, _ := strings.Cut(told, "somebody has run: ")
	if !strings.Contains(told, ` deletes of "public"."t" until `) {
		t.Fatalf("check says %q", told)
	}
	after := &rig{t: t, dsn: databaseOn(t, "18"), config: before.config}
	after.db = after.session()
	after.exec(table + fmt.Sprintf(`; create publication %s for table t with (publish_generated_columns = none)`, before.source().names.all))
	if _, err := after.db.Exec(t.Context(), `update t set v = 2`); err == nil {
		t.Error("the update isn't refused")
	}
	after.exec(mend)
	after.exec(`update t set v = 2; delete from t`)
}
