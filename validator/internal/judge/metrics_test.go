package judge_test

import (
	"io"
	"strings"
)

// metricText is a gauge as the text format has it.
func metricText(lines string) io.Reader {
	var b strings.Builder
	b.WriteString("# HELP datawatch_validator_wrong_rows Rows that are wrong now, in this validator's partitions.\n# TYPE datawatch_validator_wrong_rows gauge\n")
	for line := range strings.SplitSeq(lines, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return strings.NewReader(b.String())
}
