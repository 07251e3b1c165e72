package wal

import (
	"crypto/md5"
	"encoding/hex"
	"strings"
)

// names are those of what is the source's own in the database.
type names struct {
	slot string
	// all publishes every change; inserts publishes inserts and truncates alone, of tables whose updates couldn't be
	// published without failing.
	all, inserts string
}

// maxName leaves room for the longest ending within PostgreSQL's 63 bytes.
const maxName = 50

const insertsEnding = "_inserts"

func namesOf(source string) names {
	base := "datawatch_" + strings.ReplaceAll(source, "-", "_")
	sum := md5.Sum([]byte(source))
	summed := base[:min(len(base), maxName-9)] + "_" + hex.EncodeToString(sum[:4])
	if len(base) > maxName {
		base = summed
	}
	n := names{slot: base, all: base, inserts: base + insertsEnding}
	if strings.HasSuffix(base, insertsEnding) { // which another source's inserts have
		n.all = summed
	}
	return n
}
