package accept_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"datawatch/pkg/event"
	"datawatch/validator/internal/accept"
	"datawatch/validator/internal/samples"
	"datawatch/validator/internal/schemas"
	"datawatch/validator/internal/verdict"
)

// share counts the valid events and, of these, the accepted.
type share struct {
	t               *testing.T
	reader          *accept.Reader
	programs        map[*schemas.File]*accept.Program
	valid, accepted int
}

func (s *share) add(file *schemas.File, clean *event.Clean, name string) {
	s.t.Helper()
	if s.programs[file] == nil {
		s.programs[file] = accept.Compile(file)
	}
	took, result := checkEvent(s.t, s.reader, file, s.programs[file], clean.AppendJSON(nil))
	if result != verdict.Valid {
		return
	}
	s.valid++
	if took {
		s.accepted++
	} else {
		s.t.Logf("asked: %s", name)
	}
}

// TestMostValidSamplesAreAccepted takes the valid samples of every schema folder in the repository, and rows of many
// domains with the schemas that were learned from them.
func TestMostValidSamplesAreAccepted(t *testing.T) {
	s := &share{t: t, reader: accept.NewReader(), programs: map[*schemas.File]*accept.Program{}}
	for _, dir := range sampleFolders(t) {
		set, err := schemas.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		all, err := samples.Find(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, sample := range all {
			clean, err := samples.EventOf(dir, sample)
			if file := set.For(sample.Stream); err == nil && file != nil { // some folders hold broken ones, for other tests
				s.add(file, clean, dir+"/"+sample.Name)
			}
		}
	}
	fromSamples := s.valid
	files, err := filepath.Glob("../infer/testdata/*.golden.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		schema, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := os.ReadFile(strings.TrimSuffix(name, ".golden.json") + ".jsonl")
		if err != nil {
			t.Fatal(err)
		}
		file := loadFile(t, string(schema))
		for row := range bytes.Lines(rows) {
			clean := &event.Clean{ID: "1", Stream: stream, Type: event.ChangeType, Time: "2026-11-22T08:00:00Z", Change: &event.Change{
				Op: event.Insert, Key: json.RawMessage(`{"id":1}`), After: bytes.TrimSpace(row),
			}}
			s.add(file, clean, name)
		}
	}
	t.Logf("%d valid events, %d of samples; %d accepted", s.valid, fromSamples, s.accepted)
	if fromSamples == 0 || s.valid < 200 || s.accepted*100 < s.valid*95 {
		t.Errorf("%d of %d valid events are accepted", s.accepted, s.valid)
	}
}

// sampleFolders are the schema folders that hold samples.
func sampleFolders(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, root := range []string{"../..", "../../../deploy/schemas"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() && entry.Name() == samples.Below {
				all = append(all, filepath.Dir(path))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}
