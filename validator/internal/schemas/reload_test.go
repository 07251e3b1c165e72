package schemas

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// largeFolder makes files that refer to a shared one, each with a rule, and gives the folder.
func largeFolder(t testing.TB, n int) string {
	t.Helper()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "_common", "money.json"), `{"type": "number", "minimum": 0}`)
	put(t, filepath.Join(dir, "_common", "seldom.json"), `{"type": "string"}`)
	for i := range n {
		put(t, filepath.Join(dir, "src", fmt.Sprintf("t%d.json", i)), largeFile(i, 0))
	}
	return dir
}

// largeFile is the i-th file in some version; every hundredth refers to the file that is seldom referred to.
func largeFile(i, version int) string {
	name := `{"type": "string"}`
	if i%100 == 0 {
		name = `{"$ref": "../_common/seldom.json"}`
	}
	return fmt.Sprintf(`{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "required": ["id", "total"],
		"properties": {"id": {"type": "integer", "minimum": %d}, "name": %s, "total": {"$ref": "../_common/money.json"}, "fee": {"$ref": "../_common/money.json"}},
		"x-rules": [{"id": "fee-below-total", "rule": "self.fee.orValue(0) <= self.total", "message": "The fee is more than the total"}]}`, version, name)
}

func put(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// compiled are the names of files that another set has compiled anew.
func compiled(before, now *Set) int {
	n := 0
	for _, f := range now.Files() {
		if before.file(f.Name) != f {
			n++
		}
	}
	return n
}

// TestInALargeFolderOnlyWhatChangedIsReadAndCompiledAnew is what makes a reload of 5,000 files fast; BenchmarkReload says
// how fast.
func TestInALargeFolderOnlyWhatChangedIsReadAndCompiledAnew(t *testing.T) {
	const n = 5000
	dir := largeFolder(t, n)
	w := NewWatcher(dir, slog.New(slog.DiscardHandler), func(*Set, error) {})
	first, tree := w.Current(), w.tree
	if len(first.Files()) != n || len(first.Problems()) != 0 {
		t.Fatalf("%d files, problems: %s", len(first.Files()), lines(first.Problems()))
	}
	put(t, filepath.Join(dir, "src", "t7.json"), largeFile(7, 1))
	w.refresh()
	second := w.Current()
	if got := compiled(first, second); got != 1 {
		t.Errorf("one file changed, %d were compiled", got)
	}
	parsed := 0
	for name, d := range w.tree.documents {
		if tree.documents[name] != d {
			parsed++
		}
	}
	if parsed != 1 {
		t.Errorf("one file changed, %d were parsed", parsed)
	}
	put(t, filepath.Join(dir, "_common", "seldom.json"), `{"type": "string", "maxLength": 100}`)
	w.refresh()
	if got := compiled(second, w.Current()); got != n/100 {
		t.Errorf("a shared file changed that %d files refer to, %d were compiled", n/100, got)
	}
}

// TestWaysInWhichEditorsSaveTakeEffect: in place, by renaming a new file over the old one, and by moving the old one away
// first; what they leave beside it is no schema.
func TestWaysInWhichEditorsSaveTakeEffect(t *testing.T) {
	for name, save := range map[string]func(t *testing.T, file, text string){
		"in place": func(t *testing.T, file, text string) { put(t, file, text) },
		"renamed over": func(t *testing.T, file, text string) {
			fresh := filepath.Join(filepath.Dir(file), ".public.orders.json.swp")
			put(t, fresh, text)
			if err := os.Rename(fresh, file); err != nil {
				t.Fatal(err)
			}
		},
		"backup first": func(t *testing.T, file, text string) {
			if err := os.Rename(file, file+"~"); err != nil {
				t.Fatal(err)
			}
			put(t, file, text)
			if err := os.Symlink("user@host.1234", filepath.Join(filepath.Dir(file), ".#public.orders.json")); err != nil {
				t.Fatal(err)
			}
		},
		"of the same size and time": func(t *testing.T, file, text string) {
			old, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			put(t, file, text)
			if err := os.Chtimes(file, old.ModTime(), old.ModTime()); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "shop-db", "public.orders.json")
			put(t, file, `{"type": "string"}`)
			w, _ := newTestWatcher(t, dir)
			save(t, file, `{"type": "number"}`)
			w.refresh()
			set := w.Current()
			if f := set.For("shop-db/public.orders"); f == nil || f.Schema.Validate(1) != nil || f.Schema.Validate("x") == nil {
				t.Error("what was saved isn't in force")
			}
			if len(set.Files()) != 1 || len(set.Problems()) != 0 {
				t.Errorf("%d files, problems: %s", len(set.Files()), lines(set.Problems()))
			}
		})
	}
}

// TestRunningWatcherTakesAChangeByItself waits for the promise of the running service, with the patience of a busy machine.
func TestRunningWatcherTakesAChangeByItself(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "a", "b.json"), `{"type": "string"}`)
	changes := make(chan *Set, 10)
	w := NewWatcher(dir, slog.New(slog.DiscardHandler), func(s *Set, _ error) { changes <- s })
	<-changes
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	put(t, filepath.Join(dir, "a", "c.json"), `{}`)
	select {
	case s := <-changes:
		if s.For("a/c") == nil {
			t.Error("the new file isn't in force")
		}
	case <-time.After(2 * time.Minute):
		t.Error("the change wasn't noticed")
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("cancellation isn't an end")
	}
	if w.pause+longPause > 5*time.Second {
		t.Errorf("the folder may be looked at every %s only", w.pause+longPause)
	}
}

// BenchmarkReload measures, in a folder of 5,000 files, how long a look takes in which nothing has changed, and one in which
// one file has, all have, and the shared one that all refer to; it fails where the longest pause and the longest look are more
// than the 5 seconds that are promised.
func BenchmarkReload(b *testing.B) {
	const n, promised = 5000, 5 * time.Second
	dir := largeFolder(b, n)
	w := NewWatcher(dir, slog.New(slog.DiscardHandler), func(*Set, error) {})
	took := map[string]time.Duration{}
	look := func(name string) {
		begin := time.Now()
		w.refresh()
		took[name] = max(took[name], time.Since(begin))
	}
	version := 0
	for b.Loop() {
		version++
		look("nothing")
		put(b, filepath.Join(dir, "src", "t3.json"), largeFile(3, version))
		look("one")
		put(b, filepath.Join(dir, "_common", "money.json"), fmt.Sprintf(`{"type": "number", "minimum": %d}`, version))
		look("shared")
		for i := range n {
			put(b, filepath.Join(dir, "src", fmt.Sprintf("t%d.json", i)), largeFile(i, version))
		}
		look("all")
		if got := len(w.Current().Files()); got != n {
			b.Fatalf("%d files", got)
		}
	}
	b.ReportMetric(0, "ns/op")
	for name, d := range took {
		b.ReportMetric(float64(d.Milliseconds()), name+"-ms")
		if longest := d + min(max(usualPause, 10*took["nothing"]), longPause); longest > promised {
			b.Errorf("%s changed: %s from the change to force", name, longest)
		}
	}
}
