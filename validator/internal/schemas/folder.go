package schemas

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"datawatch/pkg/cel"
)

const (
	suffix    = ".json"
	tests     = "_tests"
	maxFile   = 4 << 20 // bytes of one file
	maxFolder = 16      // levels of folders; symbolic links may go in circles
)

// ErrNoFolder says that the schema folder isn't there.
var ErrNoFolder = errors.New("no such folder")

// text is a file of the folder as it is on disk.
type fileText struct {
	bytes []byte
	err   error
}

// read reads every schema file of the folder, by name. Symbolic links are followed, as Kubernetes' ConfigMaps need it.
func read(dir string) (map[string]fileText, error) {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil, fmt.Errorf("schema folder %s: %w", dir, ErrNoFolder)
	}
	if err != nil {
		return nil, fmt.Errorf("schema folder: %w", err)
	}
	files := map[string]fileText{}
	if err := readInto(files, dir, "", 0); err != nil {
		return nil, fmt.Errorf("schema folder: %w", err)
	}
	return files, nil
}

// Text is a file that isn't in the folder, under the name that it would have there.
type Text struct {
	Name  string // relative, with slashes: "shop-db/public.orders.json"
	Bytes []byte
}

func readWith(dir string, also []Text) (map[string]fileText, error) {
	files, err := read(dir)
	if err != nil {
		return nil, err
	}
	for _, t := range also {
		files[t.Name] = fileText{bytes: t.Bytes}
	}
	return files, nil
}

func readInto(files map[string]fileText, dir, below string, depth int) error {
	entries, err := os.ReadDir(filepath.Join(dir, filepath.FromSlash(below)))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := path.Join(below, entry.Name())
		if strings.HasPrefix(entry.Name(), ".") || name == tests {
			continue
		}
		full := filepath.Join(dir, filepath.FromSlash(name))
		info, err := os.Stat(full)
		switch {
		case errors.Is(err, fs.ErrNotExist): // gone since the folder was listed, or a link to nothing
		case err != nil:
			return err
		case info.IsDir():
			if depth < maxFolder {
				if err := readInto(files, dir, name, depth+1); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
		case strings.HasSuffix(name, suffix):
			files[name] = readFile(full, info.Size())
		}
	}
	return nil
}

func readFile(full string, size int64) fileText {
	if size > maxFile {
		return fileText{err: fmt.Errorf("larger than %d MiB", maxFile>>20)}
	}
	b, err := os.ReadFile(full)
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fileText{b, err}
}

// tree is the folder's files, parsed.
type tree struct {
	documents map[string]*document
	byID      map[string]*document
}

// parseTree parses what read found. Documents whose text is as before are taken from there.
func parseTree(files map[string]fileText, before *tree) *tree {
	t := &tree{documents: make(map[string]*document, len(files)), byID: map[string]*document{}}
	for name, file := range files {
		sum := sha256.Sum256(file.bytes)
		d := &document{name: name, text: file.bytes, sha: hex.EncodeToString(sum[:])}
		if file.err != nil {
			d.sha, d.findings = "", []Problem{{File: name, Severity: cel.Error, Message: "can't be read: " + file.err.Error()}}
		} else if old := before.document(name); old != nil && old.sha == d.sha {
			d = old
		} else {
			d.read()
		}
		t.documents[name] = d
	}
	for _, name := range t.names() {
		if d := t.documents[name]; d.id != "" && t.byID[d.id] == nil {
			t.byID[d.id] = d
		}
	}
	return t
}

func (t *tree) document(name string) *document {
	if t == nil {
		return nil
	}
	return t.documents[name]
}

func (t *tree) names() []string {
	names := make([]string, 0, len(t.documents))
	for name := range t.documents {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// load compiles the tree's streams. A file that is wrong keeps the version that before has of it; one that is as before,
// with all that it refers to, is taken over as it is.
func (t *tree) load(before *Set, now time.Time) *Set {
	s := &Set{files: map[string]*File{}, problems: map[string][]Problem{}, ReadAt: now}
	var streams []string
	for _, name := range t.names() {
		d := t.documents[name]
		if isShared(name) {
			if len(d.findings) > 0 {
				s.problems[name] = d.findings
			}
			continue
		}
		if p, ok := misnamed(name); ok {
			s.problems[name] = []Problem{p}
			continue
		}
		streams = append(streams, name)
		old := before.file(name)
		if old != nil && t.same(old, d) {
			s.files[name] = old
			if kept := before.problems[name]; len(kept) > 0 && !hasErrors(kept) {
				s.problems[name] = kept
			}
			continue
		}
		f, problems := t.compile(d, now)
		if f == nil {
			f = old
		}
		if f != nil {
			s.files[name] = f
		}
		if len(problems) > 0 {
			s.problems[name] = problems
		}
	}
	s.remarks = CompareGlobs(streams)
	s.index()
	return s
}

// same tells whether a compiled file would come out as it is.
func (t *tree) same(f *File, d *document) bool {
	if f.SHA256 != d.sha {
		return false
	}
	for location, sha := range f.documents {
		if to := t.resolve(location, d); to == nil || to.sha != sha {
			return false
		}
	}
	return true
}

// isShared tells that a file is there for $ref only.
func isShared(name string) bool { return strings.HasPrefix(name, "_") && strings.Contains(name, "/") }

// misnamed tells of a file whose path can't be a stream's.
func misnamed(name string) (Problem, bool) {
	if !strings.Contains(name, "/") {
		return Problem{File: name, Severity: cel.Warning, Message: "names no stream", Hint: "put it into a folder with the source's name: shop-db/" + name}, true
	}
	if _, err := path.Match(strings.TrimSuffix(name, suffix), ""); err != nil {
		return Problem{File: name, Severity: cel.Error, Message: "the name is not a glob", Hint: "* ? and [a-z] are"}, true
	}
	return Problem{}, false
}
