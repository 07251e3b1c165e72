package unfold

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"strings"
)

// Mark says of a record that it isn't as it lies in the topic.
type Mark struct {
	// Missing is how many bytes of keys, values and headers were left out.
	Missing int
	// Reason is why, for people.
	Reason string
	// Unreadable says that the record stands for those of a batch that can't be unfolded; it has no key and no value.
	Unreadable bool
}

// markName is the name of the header that carries a Mark. Nobody outside this process knows it, so nobody can send one.
var markName = "datawatch-cut-" + nonce()

func nonce() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func (m Mark) value() []byte {
	kind := "cut"
	if m.Unreadable {
		kind = "unreadable"
	}
	return []byte(kind + " " + strconv.Itoa(m.Missing) + " " + m.Reason)
}

// MarkOf reads a record's header; ok is false where it is one of the record's own.
func MarkOf(name, value []byte) (m Mark, ok bool) {
	if string(name) != markName {
		return Mark{}, false
	}
	kind, rest, _ := strings.Cut(string(value), " ")
	missing, reason, _ := strings.Cut(rest, " ")
	m = Mark{Reason: reason, Unreadable: kind == "unreadable"}
	m.Missing, _ = strconv.Atoi(missing) // it is ours
	return m, true
}
