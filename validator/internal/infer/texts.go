package infer

import (
	"regexp"
	"slices"
	"strings"

	"datawatch/validator/internal/schemas"
)

// formats are those that are looked for, the narrowest first. What a format's own check takes is what the judges take.
var formats = []struct {
	name  string
	check func(any) bool
	looks func(string) bool // whether it is worth asking: the checks take more than people mean
}{
	{"date-time", schemas.Format("date-time"), longerThan(10)},
	{"date", schemas.Format("date"), longerThan(0)},
	{"time", schemas.Format("time"), longerThan(0)},
	{"uuid", schemas.Format("uuid"), longerThan(31)},
	{"objectid", schemas.Format("objectid"), longerThan(0)},
	{"email", schemas.Format("email"), func(s string) bool { return strings.Contains(s, "@") && !strings.ContainsAny(s, " :/") }},
	{"ipv4", schemas.Format("ipv4"), longerThan(0)},
	{"ipv6", schemas.Format("ipv6"), longerThan(0)},
	{"uri", schemas.Format("uri"), func(s string) bool { return strings.Contains(s, "://") }},
	{"currency", schemas.Format("currency"), longerThan(0)},
	{"iban", schemas.Format("iban"), longerThan(14)},
	{"phone", schemas.Format("phone"), longerThan(0)},
	{"decimal", schemas.Format("decimal"), func(s string) bool { return strings.Contains(s, ".") }},
}

func longerThan(n int) func(string) bool { return func(s string) bool { return len(s) > n } }

// Bounds of enums.
const (
	maxValues   = 10 // of an enum
	maxLength   = 40 // of one of its values
	leastValues = 20 // seen, before a few that recur are an enum
	leastEach   = 2  // of each value
	leastAlone  = 100
)

// texts is what was seen of the strings of a place.
type texts struct {
	count    int
	fit      uint16         // the formats that every one fits, by their index
	values   map[string]int // while there are few
	order    []string
	many     bool
	personal int // how many look like a person's
}

func newTexts() texts { return texts{fit: 1<<len(formats) - 1, values: map[string]int{}} }

func (t *texts) see(s string) {
	t.count++
	for i, f := range formats {
		if t.fit&(1<<i) != 0 && !(f.looks(s) && f.check(s)) {
			t.fit &^= 1 << i
		}
	}
	if looksPersonal(s) {
		t.personal++
	}
	t.value(s, 1)
}

func (t *texts) value(s string, times int) {
	if t.many {
		return
	}
	if _, known := t.values[s]; !known {
		if len(t.values) == maxValues || len(s) > maxLength {
			t.many, t.values, t.order = true, nil, nil
			return
		}
		t.order = append(t.order, s)
	}
	t.values[s] += times
}

func (t *texts) merge(o *texts) {
	t.count += o.count
	t.fit &= o.fit
	t.personal += o.personal
	if o.many {
		t.many, t.values, t.order = true, nil, nil
	}
	for _, s := range o.order {
		t.value(s, o.values[s])
	}
}

// format is the narrowest format that all values fit, empty where there is none.
func (t *texts) format(name string) string {
	if t.count == 0 {
		return ""
	}
	for i, f := range formats {
		if t.fit&(1<<i) == 0 {
			continue
		}
		if f.name == "currency" && !strings.Contains(strings.ToLower(name), "cur") && (t.many || len(t.values) < 2) {
			continue // ALL and TRY are words too
		}
		if f.name == "decimal" && versionName.MatchString(snake(name)) || f.name == "email" && messageID(name) {
			continue // it only looks like one
		}
		return f.name
	}
	return ""
}

var plainValue = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.:/ -]*$`)

// enum are the values, where few recur and none of them may be a person's.
func (t *texts) enum(name string) []string {
	least := leastValues
	if len(t.values) == 1 {
		least = leastAlone
	}
	if t.many || t.count < least || t.personal > 0 || personalName(name) || idName.MatchString(snake(name)) {
		return nil
	}
	stems := map[string]bool{}
	for s, times := range t.values {
		if times < leastEach || !plainValue.MatchString(s) {
			return nil
		}
		stems[digits.ReplaceAllString(s, "#")] = true
	}
	if numbered := len(stems) == 1 && len(t.values) > 1; numbered || openName.MatchString(snake(name)) {
		return nil // there will be more of them
	}
	return slices.Clone(t.order)
}

var (
	personalValue = regexp.MustCompile(`^(\+\d[\d ()./-]{7,}|0\d[\d ()./-]{7,14}|[^@\s]+@[^@\s]+\.[^@\s]+)$`)
	personalWords = regexp.MustCompile(`(^|_)(e?mail|phone|mobile|tel|fax|password|passwd|pwd|secret|token|ssn|iban|bic|card|pan|cvv|passport|` +
		`(first|last|full|given|family|middle|user|customer|display|nick|holder|owner|sender|receiver|recipient|contact)_?name|surname|username|` +
		`customer|address|street|zip|postcode|postal_code|birth|birthday|birthdate|dob|ip|latitude|longitude|lat|lng|lon|tax_id|national_id|id_number)(_|$)`)
	thing  = regexp.MustCompile(`(^|_)(repo|repository|project|package|file|folder|product|item|branch)s?$`)
	person = regexp.MustCompile(`(^|_)(customer|user|person|contact|recipient|sender|buyer|seller|owner|employee|patient|guest|member|author|committer|pusher|` +
		`assignee|reporter|debtor|creditor|payer|payee|driver|passenger|student|teacher)s?$`)
	idName      = regexp.MustCompile(`(^|_)(id|uuid|key|hash|sku|code)$`)
	digits      = regexp.MustCompile(`[0-9]+`)
	versionName = regexp.MustCompile(`(^|_)(version|release|build)$`)
	openName    = regexp.MustCompile(`(^|_)(tag|topic|label|keyword|interest)s?$`) // people make up new ones
	hump        = regexp.MustCompile(`([a-z0-9])([A-Z])`)
)

func snake(name string) string {
	return strings.ToLower(strings.ReplaceAll(hump.ReplaceAllString(name, "${1}_$2"), "-", "_"))
}

// looksPersonal tells of addresses and telephone numbers.
func looksPersonal(s string) bool {
	if s == "" || s[0] != '+' && s[0] != '0' && !strings.Contains(s, "@") {
		return false // without the engine
	}
	return len(s) < 100 && personalValue.MatchString(s) && !isDate(s)
}

func isDate(s string) bool { return schemas.Format("date")(s) || schemas.Format("date-time")(s) }

// messageID tells of the ids of messages, which look like addresses.
func messageID(name string) bool { return strings.HasSuffix(snake(name), "message_id") }

// personalName tells of names under which people's data stands.
func personalName(name string) bool { return personalWords.MatchString(snake(name)) }
