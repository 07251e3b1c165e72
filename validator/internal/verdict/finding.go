package verdict

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"

	"datawatch/pkg/event"
)

// MaxErrors is how many errors a violation lists.
const MaxErrors = 20

// anyToken stands in a pattern for an index, and for a name that isn't the schema's but the data's.
const anyToken = "*"

// finding is one thing that is wrong, before it is put into a violation.
type finding struct {
	kind            event.ErrorKind
	rule            string // of rules
	namesOld        bool
	severity        event.Severity
	keyword         string   // of the schema
	keywordLocation string   // JSON pointer through the schema, $refs included
	place           []string // in the value
	pattern         []string // place as fingerprints have it
	message         string
	expected        string
	actual          string
}

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// digest is n characters of lower-case base32 of a hash over the parts.
func digest(n int, parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return strings.ToLower(encoding.EncodeToString(h.Sum(nil)))[:n]
}

// fingerprint names the group of a finding: the same for every value that is wrong in the same way.
func (f *finding) fingerprint(stream event.Stream, file string) string {
	what := f.keyword
	if f.rule != "" {
		what = f.rule
	}
	return digest(12, string(stream), file, string(f.kind), what, pointer(f.pattern))
}

func (f *finding) toError(stream event.Stream, file string) event.ViolationError {
	return event.ViolationError{
		Kind: f.kind, Rule: f.rule, Severity: f.severity, InstanceLocation: bounded(pointer(f.place)), KeywordLocation: bounded(f.keywordLocation),
		Message: f.message, Expected: f.expected, Actual: f.actual, Fingerprint: f.fingerprint(stream, file),
	}
}

// inOrder sorts by place and keyword: the library finds errors in the order of Go's maps.
func inOrder(findings []finding) {
	slices.SortStableFunc(findings, func(a, b finding) int {
		return cmp.Or(slices.CompareFunc(a.place, b.place, compareTokens), cmp.Compare(a.keywordLocation, b.keywordLocation),
			cmp.Compare(a.expected, b.expected), cmp.Compare(a.actual, b.actual))
	})
}

// sameToRead tells whether people would read one thing twice: a rule of each element may find the same wrong with the row.
func sameToRead(a, b finding) bool {
	return a.rule != "" && a.rule == b.rule && a.kind == b.kind && a.message == b.message && a.expected == b.expected && a.actual == b.actual &&
		slices.Equal(a.place, b.place)
}

// compareTokens sorts indexes as numbers.
func compareTokens(a, b string) int {
	if isIndex(a) && isIndex(b) {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	}
	return cmp.Compare(a, b)
}

func isIndex(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == "" && (s == "0" || s[0] != '0')
}

// maxLocation bounds a place: names of members may be as long as a record, and a violation has to fit into one.
const maxLocation = 1000

func bounded(location string) string {
	if len(location) <= maxLocation {
		return location
	}
	return strings.ToValidUTF8(location[:maxLocation], "") + "…"
}
