package hide

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"datawatch/pkg/event"
)

const (
	// prefix is the kind of the state records.
	prefix = "hide/"
	// Key is the record's key in the state topic.
	Key = prefix + "schemas"
	// version is that of the record's value.
	version = 1
)

// File is what is hidden in the streams that a schema file judges.
type File struct {
	Stream string   `json:"stream"` // the file's stream, or its glob
	Hide   []string `json:"hide"`   // JSON pointers; none where the file only takes streams from a wider glob
}

func (f File) glob() bool { return strings.ContainsAny(f.Stream, "*?[") }

// record is the value in the state topic.
type record struct {
	Version int    `json:"version"`
	Files   []File `json:"files"`
}

// Encode is the value of the record, the same for the same files. Files that hide nothing, and that take nothing from a
// glob that does, are left out.
func Encode(files []File) ([]byte, error) {
	var globs []File
	for _, f := range files {
		if f.glob() && len(f.Hide) > 0 {
			globs = append(globs, f)
		}
	}
	r := record{Version: version, Files: []File{}}
	for _, f := range files {
		if len(f.Hide) > 0 || slices.ContainsFunc(globs, func(g File) bool { return mayShare(g, f) }) {
			f.Hide = append([]string{}, f.Hide...)
			r.Files = append(r.Files, f)
		}
	}
	slices.SortFunc(r.Files, func(a, b File) int { return cmp.Compare(a.Stream, b.Stream) })
	return json.Marshal(r)
}

// mayShare tells whether two files may match one stream.
func mayShare(glob, other File) bool {
	if other.glob() {
		return true
	}
	ok, err := path.Match(glob.Stream, other.Stream)
	return ok && err == nil
}

// Decode reads a record's value.
func Decode(value []byte) ([]File, error) {
	var r record
	if err := json.Unmarshal(value, &r); err != nil {
		return nil, fmt.Errorf("read %s: %w", Key, err)
	}
	if r.Version != version {
		return nil, fmt.Errorf("read %s: version %d is newer than this program", Key, r.Version)
	}
	return r.Files, nil
}

// Set says what is hidden of each stream. It never changes.
type Set struct {
	exact map[event.Stream]*Places
	globs []matcher // the first that matches wins
	all   bool
}

type matcher struct {
	pattern string
	places  *Places
}

// Everything hides all of every stream.
func Everything() *Set { return &Set{all: true} }

// NewSet makes a Set of files.
func NewSet(files []File) (*Set, error) {
	s := &Set{exact: map[event.Stream]*Places{}}
	for _, f := range files {
		p := &Places{}
		for _, text := range f.Hide {
			pointer, err := ParsePointer(text)
			if err != nil {
				return nil, fmt.Errorf("what is hidden of %s: %w", f.Stream, err)
			}
			p.pointers = append(p.pointers, pointer)
		}
		if f.glob() {
			s.globs = append(s.globs, matcher{f.Stream, p})
		} else {
			s.exact[event.Stream(f.Stream)] = p
		}
	}
	slices.SortFunc(s.globs, func(a, b matcher) int {
		return cmp.Or(cmp.Compare(len(b.pattern), len(a.pattern)), cmp.Compare(a.pattern, b.pattern))
	})
	return s, nil
}

// For are the places that are hidden in a stream.
func (s *Set) For(stream event.Stream) *Places {
	if s.all {
		return &Places{pointers: []Pointer{{}}}
	}
	if p, ok := s.exact[stream]; ok {
		return p
	}
	for _, g := range s.globs {
		if ok, err := path.Match(g.pattern, string(stream)); ok && err == nil {
			return g.places
		}
	}
	return &Places{}
}
