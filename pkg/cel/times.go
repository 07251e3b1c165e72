package cel

import (
	"strings"
	"time"
)

// timeFunctions: the get… functions count as CEL's do: months, days of the
// month, of the week (Sunday) and of the year from 0, getDate() from 1. Those of a
// duration give the whole of it in that unit.
var timeFunctions = map[string]function{
	"timestamp": {global: true, args: []Type{String | Timestamp, String}, optional: 1, result: Timestamp, call: toTimestamp, check: checkTimestamp},
	"date":      {global: true, args: []Type{Timestamp, String}, result: String, call: date, check: checkZone},
	"duration":  {global: true, args: []Type{String | Duration}, result: Duration, call: toDuration, check: checkDuration},

	"getFullYear":   part(time.Time.Year),
	"getMonth":      part(func(t time.Time) int { return int(t.Month()) - 1 }),
	"getDate":       part(time.Time.Day),
	"getDayOfMonth": part(func(t time.Time) int { return t.Day() - 1 }),
	"getDayOfWeek":  part(func(t time.Time) int { return int(t.Weekday()) }),
	"getDayOfYear":  part(func(t time.Time) int { return t.YearDay() - 1 }),

	"getHours":        unit(time.Time.Hour, time.Hour),
	"getMinutes":      unit(time.Time.Minute, time.Minute),
	"getSeconds":      unit(time.Time.Second, time.Second),
	"getMilliseconds": unit(func(t time.Time) int { return t.Nanosecond() / int(time.Millisecond) }, time.Millisecond),
}

// maxTimeText is the length beyond which a text is no time, duration or zone.
const maxTimeText = 64

// part is a method of a timestamp, with the zone as an argument, else in UTC.
func part(get func(time.Time) int) function {
	return function{
		method: true, args: []Type{Timestamp, String}, optional: 1, result: Number, check: checkZone,
		call: func(_ *frame, n *node, a [4]Value) Value {
			t, err := n.inZone(a[0], a[1])
			if err != nil {
				return failureOf(err)
			}
			return IntValue(int64(get(t)))
		},
	}
}

// unit is a part that durations have too.
func unit(get func(time.Time) int, of time.Duration) function {
	fn := part(get)
	fn.args = []Type{Timestamp | Duration, String}
	timed := fn.call
	fn.call = func(f *frame, n *node, a [4]Value) Value {
		if a[0].kind == Duration {
			return IntValue(int64(a[0].duration() / of))
		}
		return timed(f, n, a)
	}
	return fn
}

func (n *node) inZone(v, zone Value) (time.Time, *EvalError) {
	if zone.kind == 0 {
		return v.time(), nil
	}
	l, ok := zone.ref.(*time.Location)
	if !ok {
		if l, ok = location(zone.text); !ok {
			return time.Time{}, n.errorf(ValueError, "an unknown time zone")
		}
	}
	return v.time().In(l), nil
}

// location is an IANA zone or an offset: Asia/Ho_Chi_Minh, +07:00. The local
// zone of the machine is none: a rule gives the same on every machine.
func location(name string) (*time.Location, bool) {
	if name == "" || name == "Local" || len(name) > maxTimeText {
		return nil, false
	}
	if t, err := time.Parse("-07:00", name); err == nil {
		_, offset := t.Zone()
		return time.FixedZone(name, offset), true
	}
	l, err := time.LoadLocation(name)
	return l, err == nil
}

// checkZone finds a wrong zone at load, and a right one once.
func checkZone(args []*node) string {
	last := args[len(args)-1]
	if len(args) < 2 || last.literal == nil {
		return ""
	}
	l, ok := location(last.literal.text)
	if !ok {
		return "unknown time zone " + last.literal.text
	}
	v := *last.literal
	v.ref = l
	last.eval = func(*frame) Value { return v }
	return ""
}

// date is the day of a timestamp in a zone, in ISO 8601, as a text that
// compares with columns of type date.
func date(_ *frame, n *node, a [4]Value) Value {
	t, err := n.inZone(a[0], a[1])
	if err != nil {
		return failureOf(err)
	}
	return StringValue(t.Format(time.DateOnly))
}

// toTimestamp reads RFC 3339; with a zone, also a date and time without one, as
// PostgreSQL's timestamp is, and a date.
func toTimestamp(_ *frame, n *node, a [4]Value) Value {
	if a[0].kind == Timestamp {
		return a[0]
	}
	if t, ok := parseTime(a[0].text); ok {
		return n.point(t)
	}
	if a[1].kind == 0 {
		return failureOf(n.errorf(ValueError, "timestamp() of a text that isn't in RFC 3339; one without an offset needs a zone, as in timestamp(text, \"UTC\")"))
	}
	l, ok := a[1].ref.(*time.Location)
	if !ok {
		if l, ok = location(a[1].text); !ok {
			return failureOf(n.errorf(ValueError, "an unknown time zone"))
		}
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, a[0].text, l); err == nil {
			return n.point(t)
		}
	}
	return failureOf(n.errorf(ValueError, "timestamp() of a text that is no date and time"))
}

func parseTime(text string) (time.Time, bool) {
	if len(text) > maxTimeText {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, strings.ToUpper(text))
	return t, err == nil
}

func checkTimestamp(args []*node) string {
	if len(args) == 2 {
		return checkZone(args)
	}
	if l := args[0].literal; l != nil && l.kind == String {
		if _, ok := parseTime(l.text); !ok {
			return "timestamp() of a text that isn't in RFC 3339"
		}
	}
	return ""
}

func toDuration(_ *frame, n *node, a [4]Value) Value {
	if a[0].kind == Duration {
		return a[0]
	}
	d, err := time.ParseDuration(a[0].text)
	if err != nil || len(a[0].text) > maxTimeText {
		return failureOf(n.errorf(ValueError, "duration() of a text that is none, as 90m or 24h are"))
	}
	return durationValue(d)
}

func checkDuration(args []*node) string {
	if l := args[0].literal; l != nil && l.kind == String {
		if _, err := time.ParseDuration(l.text); err != nil {
			return "duration() of a text that is none, as 90m or 24h are"
		}
	}
	return ""
}
