package schemas

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"datawatch/pkg/cel"
	"datawatch/pkg/event"
	"datawatch/pkg/hide"
)

// Set is the schema files in force at one time. It never changes, and is safe for concurrent use.
type Set struct {
	ReadAt time.Time

	files    map[string]*File // by name
	problems map[string][]Problem
	exact    map[event.Stream]*File
	globs    []*File  // the first that matches wins
	remarks  []Remark // about the names of files
	found    sync.Map // event.Stream → *File: what For found, nil for none
}

// Empty has no file: every stream is unchecked.
func Empty() *Set { return &Set{} }

func (s *Set) file(name string) *File {
	if s == nil {
		return nil
	}
	return s.files[name]
}

func (s *Set) index() {
	s.exact = map[event.Stream]*File{}
	for name, f := range s.files {
		if stem := strings.TrimSuffix(name, suffix); strings.ContainsAny(stem, "*?[") {
			s.globs = append(s.globs, f)
		} else {
			s.exact[event.Stream(stem)] = f
		}
	}
	slices.SortFunc(s.globs, func(a, b *File) int {
		return cmp.Or(cmp.Compare(len(b.Name), len(a.Name)), cmp.Compare(a.Name, b.Name))
	})
}

// For is the file that judges a stream, nil where there is none.
func (s *Set) For(stream event.Stream) *File {
	if f, ok := s.exact[stream]; ok {
		return f
	}
	if f, ok := s.found.Load(stream); ok {
		return f.(*File)
	}
	var f *File
	for _, glob := range s.globs {
		if ok, _ := path.Match(strings.TrimSuffix(glob.Name, suffix), string(stream)); ok {
			f = glob
			break
		}
	}
	s.found.Store(stream, f)
	return f
}

// Matching are the names of all files whose name matches a stream, loaded or not: the first that is loaded judges it.
func (s *Set) Matching(stream event.Stream) []string {
	names := map[string]bool{}
	for name := range s.files {
		names[name] = true
	}
	for name, problems := range s.problems {
		if !isShared(name) && hasErrors(problems) {
			names[name] = true
		}
	}
	exact := string(stream) + suffix
	var matching []string
	for name := range names {
		if ok, err := path.Match(strings.TrimSuffix(name, suffix), string(stream)); name == exact || ok && err == nil {
			matching = append(matching, name)
		}
	}
	slices.SortFunc(matching, func(a, b string) int {
		switch exact {
		case a:
			return -1
		case b:
			return 1
		}
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	return matching
}

// Broken tells whether the file that is meant for a stream can't be loaded, and there is no good version of it in force.
func (s *Set) Broken(stream event.Stream) bool {
	matching := s.Matching(stream)
	return len(matching) > 0 && s.files[matching[0]] == nil
}

// Files are all files in force, by name.
func (s *Set) Files() []*File {
	files := make([]*File, 0, len(s.files))
	for _, f := range s.files {
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b *File) int { return cmp.Compare(a.Name, b.Name) })
	return files
}

// Remarks are about files whose names leave them nothing to judge, or leave open which of two judges.
func (s *Set) Remarks() []Remark { return s.remarks }

// Problems are all that is wrong in the folder, by file and place.
func (s *Set) Problems() []Problem {
	var all []Problem
	seen := map[Problem]bool{}
	for _, r := range s.remarks {
		all = append(all, r.Problem())
	}
	for _, problems := range s.problems {
		for _, p := range problems {
			if !seen[p] { // what a shared file has wrong is found by each that refers to it
				seen[p] = true
				all = append(all, p)
			}
		}
	}
	slices.SortFunc(all, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
	return all
}

// Failure is a file that can't be loaded, with the first reason, and the version of it that stays in force.
type Failure struct {
	Problem Problem
	InForce *File // nil where there is none: nothing judges its streams by it
}

// Failures lists the files that aren't loaded as they are now. Those that are wrong only because of another file are
// left out: that one is listed.
func (s *Set) Failures() []Failure {
	var all []Failure
	for name, problems := range s.problems {
		i := slices.IndexFunc(problems, func(p Problem) bool { return p.Severity == cel.Error && p.Because == "" })
		if i >= 0 {
			all = append(all, Failure{problems[i], s.file(name)})
		}
	}
	slices.SortFunc(all, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(a.Problem.File, b.Problem.File), cmp.Compare(a.Problem.Line, b.Problem.Line))
	})
	return all
}

// Hidden is what no one may be shown, by the files in force, and the streams or globs of files of which there is no good
// version: what their x-pii says isn't known.
func (s *Set) Hidden() (files []hide.File, unknown []string) {
	for _, f := range s.Files() {
		h := hide.File{Stream: strings.TrimSuffix(f.Name, suffix)}
		for _, p := range f.PII {
			h.Hide = append(h.Hide, p.String())
		}
		files = append(files, h)
	}
	for name, problems := range s.problems {
		if s.files[name] == nil && !isShared(name) && hasErrors(problems) {
			unknown = append(unknown, strings.TrimSuffix(name, suffix))
		}
	}
	slices.Sort(unknown)
	return files, unknown
}
