package schemas

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"datawatch/pkg/cel"
)

// Load reads a folder once, as if files stood in it too. The error is ErrNoFolder or one of reading; what is wrong in files
// is in the Set.
func Load(dir string, also ...Text) (*Set, error) {
	files, err := readWith(dir, also)
	if err != nil {
		return nil, err
	}
	return parseTree(files, nil).load(Empty(), time.Now()), nil
}

const (
	usualPause = time.Second
	longPause  = 3 * time.Second
)

// Watcher keeps the Set of a folder. The folder is read again every second, or less often where reading takes long, and
// compared by content: events of the file system are missed with ConfigMaps and mounted files.
type Watcher struct {
	dir     string
	pause   time.Duration
	log     *slog.Logger
	current atomic.Pointer[Set]
	tree    *tree
	lost    bool // the folder couldn't be read the last time
	changed func(*Set, error)
}

// NewWatcher reads the folder for the first time. changed is called with every new Set, from the first on, and with the
// error while the folder can't be read; it must not block.
func NewWatcher(dir string, log *slog.Logger, changed func(*Set, error)) *Watcher {
	w := &Watcher{dir: dir, pause: usualPause, log: log, changed: changed}
	w.current.Store(Empty())
	w.refresh()
	return w
}

// Current is the Set in force.
func (w *Watcher) Current() *Set { return w.current.Load() }

// Run keeps the Set as the folder is, until ctx is done, and returns its error.
func (w *Watcher) Run(ctx context.Context) error {
	pause := w.pause
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		started := time.Now()
		w.refresh()
		pause = min(max(w.pause, 10*time.Since(started)), longPause)
	}
}

func (w *Watcher) refresh() {
	files, err := read(w.dir)
	if err != nil {
		if !w.lost {
			w.lost = true
			w.log.Error("schemas can't be read; what was loaded stays in force", "folder", w.dir, "error", err)
			w.changed(w.Current(), err)
		}
		return
	}
	tree := parseTree(files, w.tree)
	if w.tree != nil && !w.lost && maps.EqualFunc(tree.documents, w.tree.documents, func(a, b *document) bool {
		return a.sha == b.sha
	}) {
		return
	}
	before := w.Current()
	set := tree.load(before, time.Now())
	w.tree, w.lost = tree, false
	w.current.Store(set)
	w.tell(before, set)
	w.changed(set, nil)
}

// tell logs what has changed.
func (w *Watcher) tell(before, now *Set) {
	known := before.Problems()
	for _, p := range now.Problems() {
		if slices.Contains(known, p) {
			continue
		}
		level := slog.LevelError
		if p.Severity == cel.Warning {
			level = slog.LevelWarn
		}
		w.log.Log(context.Background(), level, "schema file", "problem", p.String(), "kept", now.file(p.File) != nil && p.Severity == cel.Error)
	}
	for _, f := range before.Failures() {
		if name := f.Problem.File; !slices.ContainsFunc(now.Failures(), func(f Failure) bool { return f.Problem.File == name }) {
			w.log.Info("schema file is right again, or gone", "file", name)
		}
	}
	for _, f := range now.Files() {
		if old := before.file(f.Name); old == nil || old.SHA256 != f.SHA256 {
			w.log.Info("schema in force", "file", f.Name, "sha256", f.SHA256[:12])
		}
	}
	for _, name := range inTurn(before.files) {
		if now.files[name] == nil {
			w.log.Info("schema removed", "file", name)
		}
	}
	if len(now.files) == 0 {
		w.log.Warn("no schema in the folder: nothing is checked", "folder", w.dir, "hint", "the path is the stream: shop-db/public.orders.json")
	}
}
