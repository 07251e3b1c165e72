package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// shapes knows the shapes that packs name.
type shapes struct {
	source, database string
	db               querier
	byID             map[int64]*shape
	mended           map[string]*shape // by id and names, of packs whose rows have other members than their shape
}

// of is the shape of a pack's rows. Where a table was altered and its function not yet made anew, the rows have other
// members than the shape that the pack names; then the shape that fits them is found.
func (c *shapes) of(ctx context.Context, p *pack) (*shape, error) {
	named, err := c.load(ctx, p.shape)
	if err != nil {
		return nil, err
	}
	if p.sent() {
		types, err := typesOf(p)
		if err != nil || named.fitsTypes(types) {
			return named, nil //nolint:nilerr // who reads the rows says so
		}
		return c.mend(ctx, p.shape, named, nil, types)
	}
	image := p.after
	if len(image) == 0 {
		image = p.before
	}
	if !p.ofRows() || len(image) < 2 {
		return named, nil
	}
	end, err := endOf(image, 1)
	if err != nil {
		return named, nil //nolint:nilerr // who reads the rows says so
	}
	names, err := namesOf(image[1:end])
	if err != nil || named.fits(names) {
		return named, nil //nolint:nilerr // who reads the rows says so
	}
	return c.mend(ctx, p.shape, named, names, nil)
}

func (c *shapes) load(ctx context.Context, id int64) (*shape, error) {
	if s := c.byID[id]; s != nil {
		return s, nil
	}
	var text []byte
	err := c.db.QueryRow(ctx, "select shape from datawatch.shapes where id = $1", id).Scan(&text)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("the outbox names the shape %d, which datawatch.shapes doesn't have: who took it away?", id)
	}
	if err != nil {
		return nil, fmt.Errorf("load shape %d: %w", id, err)
	}
	s, err := parseShape(c.source, c.database, text)
	if err != nil {
		return nil, fmt.Errorf("load shape %d: %w", id, err)
	}
	c.byID[id] = s
	return s, nil
}

// mend looks for a shape of the same table with these names, or of binary rows these types: as the table is now, else as it
// was, else what is known.
func (c *shapes) mend(ctx context.Context, id int64, named *shape, names []string, types []uint32) (*shape, error) {
	cached := fmt.Sprintf("%d\x00%s%v", id, strings.Join(names, "\x00"), types)
	if s := c.mended[cached]; s != nil {
		return s, nil
	}
	rows, err := c.db.Query(ctx, `select s.shape from datawatch.shapes s, datawatch.shapes o
		where o.id = $1 and s.shape -> 'schema' = o.shape -> 'schema' and s.shape -> 'table' = o.shape -> 'table' order by s.added_at desc`, id)
	if err != nil {
		return nil, fmt.Errorf("look for a shape: %w", err)
	}
	texts, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		return nil, fmt.Errorf("look for a shape: %w", err)
	}
	if now, err := c.present(ctx, id); err != nil {
		return nil, err
	} else if now != nil {
		texts = append([][]byte{now}, texts...)
	}
	if c.mended == nil || len(c.mended) > 1000 {
		c.mended = map[string]*shape{}
	}
	for _, text := range texts {
		s, err := parseShape(c.source, c.database, text)
		if err != nil {
			return nil, err
		}
		if types == nil && s.fits(names) || types != nil && s.fitsTypes(types) {
			s.stream, s.schema, s.table = named.stream, named.schema, named.table
			c.mended[cached] = s
			return s, nil
		}
	}
	if types != nil {
		return named, nil // who reads the rows says so
	}
	s, err := named.named(c.source, c.database, names)
	if err != nil {
		return nil, err
	}
	c.mended[cached] = s
	return s, nil
}

// present describes the table of a shape as it is now; nil where there is none of that name.
func (c *shapes) present(ctx context.Context, id int64) ([]byte, error) {
	var oid uint32
	err := c.db.QueryRow(ctx, `select c.oid from datawatch.shapes s
		join pg_namespace n on n.nspname = s.shape ->> 'schema' join pg_class c on c.relnamespace = n.oid and c.relname = s.shape ->> 'table'
		where s.id = $1`, id).Scan(&oid)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for a table: %w", err)
	}
	var shapeID int64
	var text []byte
	if err := c.db.QueryRow(ctx, describeSQL, oid, []string{}).Scan(&shapeID, &text); err != nil {
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, nil
		}
		return nil, fmt.Errorf("describe a table: %w", err)
	}
	return text, nil
}
