package postgres

import (
	_ "embed"
	"strconv"
	"strings"
	"unicode"
)

//go:embed sql/capture.sql
var captureSQL string

//go:embed sql/capture_body.sql
var captureBodySQL string

//go:embed sql/guard.sql
var guardSQL string

//go:embed sql/moved.sql
var movedSQL string

//go:embed sql/single_write.sql
var singleWriteSQL string

func captureFunction(function string, pinned settings, body string) string {
	head, tail, _ := strings.Cut(strings.TrimSpace(captureSQL), "as $capture$")
	_, tail, _ = strings.Cut(tail, "$capture$")
	head = strings.NewReplacer("{{function}}", function, "{{settings}}", pinned.String()).Replace(head)
	return head + "as $capture$" + body + "$capture$" + tail
}

// captureBody is what pg_proc.prosrc says of a function that is as it should be.
func (s *Source) captureBody(t *table) string {
	moved := ""
	if t.parted {
		moved = movedSQL
	}
	_, rest, _ := strings.Cut(captureSQL, "$capture$")
	source, _, _ := strings.Cut(rest, "$capture$")
	capture := strings.NewReplacer(
		"{{moved}}", moved,
		"{{singles}}", eachSlot(strings.TrimSpace(singleWriteSQL), "\nels")+"\nend if;",
	).Replace(strings.TrimSpace(captureBodySQL))
	unguarded := strings.ReplaceAll(capture, "{{guard}}", "0")
	body := indent(unguarded, "  ")
	if s.config.OnError == onErrorFailOpen {
		body = strings.TrimRight(strings.NewReplacer(
			"{{capture}}", indent(strings.ReplaceAll(capture, "{{guard}}", countedGuard), "      "),
			"{{capture.unguarded}}", indent(unguarded, "    "),
		).Replace(guardSQL), "\n")
	}
	source = strings.Replace(source, "{{body}}", body, 1)
	return strings.NewReplacer(
		"{{number}}", numberSQL,
		"{{table}}", strings.ReplaceAll(InComment(t.ident()), "$", ""),
		"{{shape}}", strconv.FormatInt(t.shapeID, 10), "{{oid}}", ofMark+strconv.FormatUint(uint64(t.oid), 10), "{{sent}}", t.marked(), "{{sure}}", asItWas+" and "+t.sure, "{{altered}}", t.altered(),
		"{{row datawatch_new}}", t.row("datawatch_new"), "{{row datawatch_old}}", t.row("datawatch_old"),
		"{{image datawatch_new}}", imageSQL("datawatch_new", t), "{{image datawatch_old}}", imageSQL("datawatch_old", t),
	).Replace(source)
}

// InComment is a text as it may stand in a comment of one line, which a line feed ends, and a carriage return too.
func InComment(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// marked is sent as the functions have it: ALTER TABLE may change it (see datawatch.refresh), but where the function names the
// columns as they were.
func (t *table) marked() string {
	if t.named {
		return "false"
	}
	return "/* sent */ " + strconv.FormatBool(t.sent)
}

// ofMark is before the oid of the function's table: see datawatch.refresh.
const ofMark = "/* of */ "

// Before what tells whether rows may be printed as the function has it: datawatch.refresh makes of the one the other where other columns are
// to be left out.
const (
	asItWas    = "/* as it was */ true"
	notAsItWas = "/* as it was */ false"
)

// altered is what the function does where it may not print rows as it has it. One that prints them may be of before.
func (t *table) altered() string {
	if t.sent {
		return "how.form := 'large';"
	}
	return "select * from datawatch.begin_altered(tg_relid, how.settings) into how.settings, how.form, altered;"
}

// countedGuard is what a statement with a guard adds to the count of rows: see datawatch.counted.
const countedGuard = "100000000000000"

// imageSQL is a row as the tables for single rows take it.
func imageSQL(relation string, t *table) string {
	return "case when " + t.marked() + " then record_send(" + relation + ".*) else textsend(" + t.row(relation) + ") end"
}

// rowSQL prints a row. The name with a star is always the whole row, whatever its columns are called.
func rowSQL(relation string, drop []string) string {
	if len(drop) == 0 {
		return "to_json(" + relation + ".*)::text"
	}
	return "(to_jsonb(" + relation + ".*) - " + dropSQL(drop) + ")::text"
}

func dropSQL(drop []string) string {
	quoted := make([]string, len(drop))
	for i, d := range drop {
		quoted[i] = Quote(d)
	}
	return "array[" + strings.Join(quoted, ", ") + "]::text[]"
}
