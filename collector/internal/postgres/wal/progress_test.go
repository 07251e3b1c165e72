package wal

import (
	"fmt"
	"maps"
	"testing"
)

// TestProgressOfManyTablesIsSmallEnough for a record of the broker.
func TestProgressOfManyTablesIsSmallEnough(t *testing.T) {
	for _, n := range []int{0, 10, 100_000} {
		want := tablesEntry{Version: progressVersion, Tables: knownTables{}, Published: memberships{}}
		for i := range uint32(n) {
			want.Tables[i] = knownTable{Schema: fmt.Sprintf("tenant_%d", i%1000), Table: fmt.Sprintf("orders_of_a_month_%d", i), Root: true, Tree: i}
			want.Published[i] = [3]string{fmt.Sprintf("%d.%d.%d.%d", 16384, 700+i, 20000+i, 800+i), "", fmt.Sprintf("%d.%d", i, 900+i)}
		}
		p, err := (&progress{Version: progressVersion, Capture: captureName}).source(&want)
		if err != nil || len(p[entryTables]) > defaultMaxRecordBytes/2 {
			t.Errorf("%d tables are %d bytes, %v", n, len(p[entryTables]), err)
		}
		got, err := parseProgress(p)
		if err != nil || got.tables == nil || !maps.Equal(got.tables, want.Tables) || !maps.Equal(got.rows, want.Published) {
			t.Errorf("%d tables aren't read as they were written, %v", n, err)
		}
	}
}
