package ddl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/event"
	"datawatch/pkg/testrig/model"
)

// differences hold streams against tables, when nobody writes and all is captured: what is left of a stream that its table doesn't have, or
// the other way round. Behind a snapshot that replaced all of them they are exactly as they are, whatever was told before.
func (f *Fuzz) differences(ctx context.Context, changes []model.Change, replaced bool) (map[string]string, error) {
	if err := once(changes); err != nil {
		return nil, err
	}
	tables, err := tables(ctx, f.DB)
	if err != nil {
		return nil, err
	}
	there, streams := map[string]*table{}, map[string][]model.Change{}
	for _, t := range tables {
		if !t.Partition && t.selected() {
			there[t.String()], streams[t.String()] = t, nil
		}
	}
	for _, c := range changes {
		if entity := c.Stream.Entity(); strings.HasPrefix(entity, "s1.") || strings.HasPrefix(entity, "s2.") {
			streams[entity] = append(streams[entity], c)
		}
	}
	all := map[string]string{}
	for entity, told := range streams {
		t := there[entity]
		if t == nil && replaced {
			continue // of what isn't there no snapshot is taken
		}
		rows, known := []string(nil), []string(nil)
		if t != nil {
			known = f.known(t, replaced)
			if rows, err = contents(ctx, f.DB, t, known); err != nil {
				return nil, err
			}
		}
		left := replay(told, known)
		if t == nil && (left.gap || len(left.keyed)+len(left.keyless) == 0) {
			continue
		}
		// What has got a name that isn't selected is told by it until the collector looks: collector/README.md.
		if _, name, _ := strings.Cut(entity, "."); !selected(name) && told[0].Gap != "" {
			continue
		}
		if text := left.differs(rows, replaced); text != "" {
			if t != nil {
				text += fmt.Sprintf("\nit is %+v, of which is known %v", *t, known)
			}
			all[entity] = text
		}
	}
	if replaced {
		f.rewritten = nil // what is told from here on is whole
	}
	return all, nil
}

// once is an error where positions don't ascend.
func once(changes []model.Change) error {
	last := ""
	for _, c := range changes {
		position := event.PositionOf(c.ID)
		if position <= last {
			return fmt.Errorf("%s came twice, or behind %s", c, last)
		}
		last = position
	}
	return nil
}

// known are the columns of which all values are told.
func (f *Fuzz) known(t *table, replaced bool) (names []string) {
	for _, c := range t.Columns {
		if (replaced || !f.rewritten[t.OID][c.Name]) && !(c.Generated && f.WAL) {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return names
}

func contents(ctx context.Context, db *pgx.Conn, t *table, known []string) ([]string, error) {
	rows, err := db.Query(ctx, `select to_json(t)::text from `+t.String()+` t`, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for i, row := range all {
		all[i] = image(row, known)
	}
	return all, err
}

// image is a row as its known columns have it. One that was added is null in those that were told before, and in none of them.
func image(row string, known []string) string {
	var columns map[string]json.RawMessage
	if err := json.Unmarshal([]byte(row), &columns); err != nil {
		panic(errors.Join(err, errors.New(row)))
	}
	var b strings.Builder
	for _, name := range known {
		if value, there := columns[name]; there && string(value) != "null" {
			fmt.Fprintf(&b, "%s=%s ", name, value)
		}
	}
	return b.String()
}

// told is a row by what was told of it.
type told struct {
	row  string
	sure bool // there was no gap since
}

// stream is what events leave behind of a table, since it was ended or emptied.
type stream struct {
	keyed   map[string]told
	keyless []told
	gap     bool
	read    bool   // rows without a key, which may have been told before
	wrong   string // what doesn't follow
}

func replay(changes []model.Change, known []string) *stream {
	s := &stream{keyed: map[string]told{}}
	for _, c := range changes {
		switch {
		case c.Gap != "":
			s.doubt()
		case c.Op == event.Truncate:
			*s = stream{keyed: map[string]told{}}
		case c.Key != "" && c.Op == event.Delete:
			delete(s.keyed, c.Key)
		case c.Key != "":
			s.keyed[c.Key] = told{image(c.After, known), true}
		default:
			s.loose(c, known)
		}
	}
	return s
}

// doubt: what was told before may be otherwise by now.
func (s *stream) doubt() {
	s.gap = true
	for key, t := range s.keyed {
		s.keyed[key] = told{row: t.row}
	}
	for i := range s.keyless {
		s.keyless[i].sure = false
	}
}

// loose is a change of a row without a key.
func (s *stream) loose(c model.Change, known []string) {
	if c.Op == event.Update || c.Op == event.Delete {
		before := image(c.Before, known)
		i := slices.IndexFunc(s.keyless, func(t told) bool { return t.row == before })
		if i >= 0 {
			s.keyless = slices.Delete(s.keyless, i, i+1)
		} else if s.wrong == "" {
			s.wrong = fmt.Sprintf("no row was told before: %s", c)
		}
	}
	if c.Op != event.Delete {
		s.keyless = append(s.keyless, told{image(c.After, known), true})
	}
	s.read = s.read || c.Op == event.Read
}

// differs tells what is otherwise than the rows that there are, "" where nothing is. Behind a gap only what is sure counts, but where exact.
func (s *stream) differs(rows []string, exact bool) string {
	left := map[string]int{}
	for _, row := range rows {
		left[row]++
	}
	sure := !s.gap || exact
	var extra, missing []string
	take := func(t told, key string, once bool) {
		if left[t.row]--; left[t.row] < 0 && once {
			extra = append(extra, key+t.row)
		}
	}
	for key, t := range s.keyed {
		if t.sure || sure {
			take(t, key+" ", true)
		}
	}
	for _, t := range s.keyless {
		if t.sure || sure {
			take(t, "", exact || !s.read) // else a read may have told again of what was told
		}
	}
	for row, n := range left {
		if n > 0 && sure {
			missing = append(missing, row)
		}
	}
	if s.gap || s.read || exact {
		s.wrong = "" // what was changed before it was read needn't have been told
	}
	if len(extra)+len(missing) == 0 && s.wrong == "" {
		return ""
	}
	return fmt.Sprintf("the table has %d rows, by replay %d with a key and %d without (gap: %v)\nmissing %q\nextra %q\n%s",
		len(rows), len(s.keyed), len(s.keyless), s.gap, missing[:min(5, len(missing))], extra[:min(5, len(extra))], s.wrong)
}
