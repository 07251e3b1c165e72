package judge_test

import (
	"fmt"
	"io"
	"strings"
)

// metricText is the gauge of wrong rows as the text format has it.
func metricText(lines string) io.Reader {
	return metricOf("datawatch_validator_wrong_rows", "gauge", "Rows that are wrong now, in this validator's partitions.", lines)
}

// metricOf is a metric as the text format has it.
func metricOf(name, kind, help, lines string) io.Reader {
	var b strings.Builder
	fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	for line := range strings.SplitSeq(lines, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return strings.NewReader(b.String())
}
