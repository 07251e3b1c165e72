// Package samples judges samples that lie beside the schemas: rows that have to pass and rows that have to fail, for the
// users' own tests.
//
// They lie in _tests/<stream>/valid and _tests/<stream>/invalid of the schema folder, one JSON file each: the row itself,
// or an object with self, old, op and the like, of which an invalid one may name in expect the rules or places that have
// to be reported. The verdict is the service's own, values masked as it masks them. The package reads no topic.
package samples

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"datawatch/pkg/event"
)

// Below is the folder of samples in a schema folder.
const Below = "_tests"

// Sample is one file.
type Sample struct {
	Name   string // relative to Below, with slashes: "shop-db/public.orders/valid/paid.json"
	Stream event.Stream
	Valid  bool // whether it has to pass
}

// ErrNoSamples says that there is nothing to test.
var ErrNoSamples = errors.New("no samples")

// Find lists the samples of a schema folder, by name.
func Find(dir string) ([]Sample, error) {
	root := filepath.Join(dir, Below)
	var all []Sample
	err := filepath.WalkDir(root, func(full string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(full) != ".json" {
			return err
		}
		name, err := filepath.Rel(root, full)
		if err != nil {
			return err
		}
		s, err := sampleOf(filepath.ToSlash(name))
		if err != nil {
			return err
		}
		all = append(all, s)
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(all) == 0 {
		return nil, fmt.Errorf("%w in %s: they lie in <stream>/valid and <stream>/invalid there, as in %s/shop-db/public.orders/valid/paid.json", ErrNoSamples, root, Below)
	}
	return all, err
}

// sampleOf reads a sample's name.
func sampleOf(name string) (Sample, error) {
	folder := path.Dir(name)
	s := Sample{Name: name, Stream: event.Stream(path.Dir(folder))}
	switch path.Base(folder) {
	case "valid":
		s.Valid = true
	case "invalid":
	default:
		return Sample{}, fmt.Errorf("sample %s/%s: lies in neither valid nor invalid", Below, name)
	}
	if !strings.Contains(string(s.Stream), "/") {
		return Sample{}, fmt.Errorf("sample %s/%s: %q is no stream: <source>/<entity>, as in shop-db/public.orders", Below, name, s.Stream)
	}
	return s, nil
}

// Pick keeps the samples that files name, each a path to a sample or to a folder of some.
func Pick(all []Sample, dir string, files []string) ([]Sample, error) {
	if len(files) == 0 {
		return all, nil
	}
	root, err := filepath.Abs(filepath.Join(dir, Below))
	if err != nil {
		return nil, err
	}
	var picked []Sample
	for _, file := range files {
		full, err := filepath.Abs(file)
		if err != nil {
			return nil, err
		}
		name, err := filepath.Rel(root, full)
		name = filepath.ToSlash(name)
		matching := slices.DeleteFunc(slices.Clone(all), func(s Sample) bool {
			return err != nil || s.Name != name && !strings.HasPrefix(s.Name, name+"/")
		})
		if len(matching) == 0 {
			return nil, fmt.Errorf("%s: not a sample of %s", file, filepath.ToSlash(filepath.Join(dir, Below)))
		}
		for _, s := range matching {
			if !slices.Contains(picked, s) {
				picked = append(picked, s)
			}
		}
	}
	return picked, nil
}

// content is what a sample holds.
type content struct {
	Self   json.RawMessage `json:"self"`
	Old    json.RawMessage `json:"old"`
	Op     event.Op        `json:"op"`
	Key    json.RawMessage `json:"key"`
	Time   string          `json:"time"`
	Tag    string          `json:"tag"`
	Actor  *event.Actor    `json:"actor"`
	Expect texts           `json:"expect"`
}

// texts is a text or a list of them.
type texts []string

func (t *texts) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = texts{one}
		return nil
	}
	var many []string
	if err := json.Unmarshal(b, &many); err != nil {
		return errors.New(`expect has to be a rule's id or a place, or a list of them, as in ["total-adds-up", "/items/0/price"]`)
	}
	*t = many
	return nil
}

var members = []string{"self", "old", "op", "key", "time", "tag", "actor", "expect"}

// read reads a sample's file; problem says why it can't be used.
func read(dir string, s Sample) (c content, problem string) {
	text, err := os.ReadFile(filepath.Join(dir, Below, filepath.FromSlash(s.Name)))
	if err == nil {
		c, err = parse(text)
	}
	if err != nil {
		return content{}, err.Error()
	}
	return c, ""
}

func parse(text []byte) (content, error) {
	var whole json.RawMessage
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&whole); err != nil {
		return content{}, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return content{}, errors.New("more than one JSON value")
	}
	var c content
	if !enveloped(whole) {
		c.Self = whole
	} else if err := json.Unmarshal(whole, &c); err != nil {
		return content{}, err
	}
	if c.Op == "" {
		c.Op = event.Insert
		if present(c.Old) {
			c.Op = event.Update
		}
	}
	ops := []event.Op{event.Insert, event.Update, event.Delete, event.Truncate, event.Read, event.Message}
	if !slices.Contains(ops, c.Op) {
		return content{}, fmt.Errorf("unknown op %q (insert, update, delete, truncate, read or message)", c.Op)
	}
	return c, nil
}

// enveloped tells whether a value has a row inside rather than being one: self, or op and old, and nothing that isn't ours.
func enveloped(value json.RawMessage) bool {
	var object map[string]json.RawMessage
	if json.Unmarshal(value, &object) != nil {
		return false
	}
	for name := range object {
		if !slices.Contains(members, name) {
			return false
		}
	}
	return object["self"] != nil || object["op"] != nil && object["old"] != nil
}

func present(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }
