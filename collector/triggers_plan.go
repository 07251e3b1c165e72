package collector

import (
	"fmt"
	"io"
	"strings"
	"time"

	"datawatch/collector/internal/postgres"
)

// writePlan prints SQL that can be run as it is, statements of one table in one transaction, under a summary for whoever is to
// run it. The estimate is of capture by triggers; nil for others.
func writePlan(w io.Writer, name string, plan []postgres.Statement, estimate *postgres.Estimate) error {
	var b strings.Builder
	if len(plan) == 0 {
		fmt.Fprintf(&b, "-- source %s: nothing is missing\n", name)
	} else {
		// Before any name: in some encodings a name's last byte takes the quote behind it along.
		b.WriteString("set client_encoding = 'UTF8';\n")
		writeSummary(&b, name, plan)
	}
	if estimate != nil {
		fmt.Fprintf(&b, "-- By the server's statistics since %s these tables write about %d rows an hour: that takes %s an hour in the\n"+
			"-- outbox where each statement writes one row, %s where statements write many, and less where values compress well.\n",
			estimate.Since.UTC().Format(time.RFC3339), estimate.RowsPerHour, size(estimate.BytesPerHour), size(estimate.BulkBytesPerHour))
	}
	for _, group := range postgres.Groups(plan) {
		writeTransaction(&b, group)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// mostNamed is how many tables the summary names.
const mostNamed = 10

// writeSummary says what the plan does, and what happens to others meanwhile.
func writeSummary(b *strings.Builder, name string, plan []postgres.Statement) {
	var locked []string
	var longest time.Duration
	for _, group := range postgres.Groups(plan) {
		if lockOf(group) != "" {
			locked = append(locked, group[0].Table)
		}
		for _, s := range group {
			longest = max(longest, s.Longest())
		}
	}
	fmt.Fprintf(b, "-- source %s: what is missing, in the order in which `collector triggers install` runs it. To run it yourself: psql -X -f\n", name)
	if len(locked) > 0 {
		named := locked[:min(len(locked), mostNamed)]
		more, trees := "", ""
		if longest > 0 {
			trees = fmt.Sprintf(" (partitions that are locked together with their tree: %s)", longest)
		}
		if n := len(locked) - len(named); n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		fmt.Fprintf(b, "-- Tables of yours that are locked, each in a transaction of its own: %s%s.\n"+
			"-- None waits longer than %s for it%s. One that ends with a timeout has done nothing: plan again, and run what is left.\n",
			postgres.InComment(strings.Join(named, ", ")), more, postgres.LockTimeout, trees)
	}
	b.WriteString("-- Afterwards: `collector triggers status`. To take it all away again: `collector triggers remove`.\n")
}

// lockOf is the strongest lock that a transaction takes on a table of the application's, "" where it takes none.
func lockOf(group []postgres.Statement) string {
	for _, s := range group {
		if s.Locks() {
			return s.Lock
		}
	}
	return ""
}

func writeTransaction(b *strings.Builder, group []postgres.Statement) {
	b.WriteString("\n")
	if t := group[0].Table; t != "" {
		fmt.Fprintf(b, "-- %s\n", postgres.InComment(t))
	}
	b.WriteString("begin;\n")
	b.WriteString("set local search_path = pg_catalog, pg_temp;\n")          // so that nobody's functions and operators are taken for the server's
	fmt.Fprintf(b, "set local lock_timeout = '%s';\n", postgres.LockTimeout) // of the outbox too, which captured tables' writers would wait for
	b.WriteString(postgres.RefuseStrangerSQL + "\n")
	for _, s := range group {
		if s.Optional {
			fmt.Fprintf(b, "-- optional: %s\n", s.Why)
		}
		fmt.Fprintf(b, "-- lock: %s\n", postgres.InComment(s.Lock))
		sql := strings.TrimSuffix(s.SQL, ";") + ";"
		if bound := s.Bound(); bound != "" {
			sql = bound + "\n" + sql + "\n" + postgres.Unbound
		}
		b.WriteString(sql + "\n")
	}
	b.WriteString("commit;\n")
}
