package postgres

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

var (
	//go:embed sql/pack.sql
	packColumns string
	//go:embed sql/page.sql
	pageTemplate string
	//go:embed sql/behind.sql
	behindTemplate string

	//go:embed sql/single_read.sql
	singleReadSQL string

	columnSent = regexp.MustCompile(`{{sent (\S+?)}}`)
)

// queries read an outbox of one version.
type queries struct{ poll, page, unclaimed, behind string }

// packsOf is what has all packs of an installation.
func packsOf(version int) string {
	if version < versionSingles {
		return "datawatch.outbox"
	}
	return "datawatch.packs"
}

// readPacks are the packs of datawatch.packs with the images of single rows as they are stored: a page is chosen among many times as much as
// it has, and what were made of all these images meanwhile would be kept in the server's temporary files.
var readPacks = `(select seq, part, txid, op, shape, at, first, rows, total, start, behind, place, application, login, client, tag, before, after, bytes, olds, news,
       null::boolean as json, null::bytea as was, null::bytea as became
from datawatch.outbox
` + eachSlot(strings.TrimSpace(singleReadSQL), "\n") + `)`

// queriesOf are for an installation of that version, which need not be upgraded to be read.
func queriesOf(version int) *queries {
	sent, unnoted := "$1", "datawatch.unnoted"
	if version < versionBinary {
		sent = "null"
	}
	if version < versionSingles {
		unnoted = "datawatch.failed"
	} else if version < versionPlaces {
		unnoted = "datawatch.failures"
	}
	// Numbers of before are unique.
	order, after := "seq, txid, part", "(o.seq, o.txid, o.part) > ($1::bigint, $9::text::xid8, $2::bigint)"
	if version < versionPlaces {
		order, after = "seq, part", "$9::text <> '' and (o.seq, o.part) > ($1::bigint, $2::bigint)"
	}
	packs := packsOf(version)
	if version >= versionSingles {
		packs = readPacks
	}
	complete := func(template, packs, largest, which, parent string) string {
		images := strings.NewReplacer("{{parent}}", parent, "{{before}}", "before", "{{after}}", "after", "{{olds}}", "{{sent olds}}", "{{news}}", "{{sent news}}")
		if packs == readPacks {
			images = strings.NewReplacer("{{parent}}", parent,
				"{{before}}", "case when json then '[' || convert_from(was, 'UTF8') || ']' else before end",
				"{{after}}", "case when json then '[' || convert_from(became, 'UTF8') || ']' else after end",
				"{{olds}}", "case when not json and was is not null then array[was] else olds end",
				"{{news}}", "case when not json and became is not null then array[became] else news end")
		}
		template = strings.NewReplacer("{{pack}}", images.Replace(strings.TrimSpace(packColumns)), "{{packs}}", packs, "{{which}}", which, "{{order}}", order, "{{after the last}}", after).Replace(template)
		return strings.ReplaceAll(columnSent.ReplaceAllString(template, sent), "{{largest}}", largest)
	}
	return &queries{
		poll: strings.NewReplacer("{{unnoted}}", unnoted, "{{drawn}}", drawnSQL(version)).Replace(pollSQL),
		page: complete(pageTemplate, packs, "$7", "o.behind is null", "0::bigint"),
		unclaimed: complete(pageTemplate, "datawatch.outbox", "$7",
			"o.behind is not null and not exists (select from datawatch.outbox s where abs(s.start) = o.behind and s.txid = o.txid and s.seq > o.seq)", "0::bigint"),
		behind: complete(behindTemplate, "", "$9", "", "parent"),
	}
}

// limits bound what is read and committed at a time.
type limits struct {
	pagePacks int
	pageBytes int64
	// A batch is committed when it has this much; a pack is never divided between batches.
	batchEvents int
	batchBytes  int
	// What a snapshot reads at a time; 0 is chunkRows and chunkBytes.
	chunkRows  int
	chunkBytes int64
	// How large a slot's tables become before triggers are sent to the next; 0 is rotateBytes.
	rotateBytes int64
	// How much the outbox may hold when it is upgraded; 0 is upgradeBytes.
	upgradeBytes int64
	// How long an answer is waited for; 0 is pollPatience, or pagePatience.
	answer time.Duration
}

var defaultLimits = limits{pagePacks: 5000, pageBytes: 2 << 20, batchEvents: 5000, batchBytes: 4 << 20}

// pack is a row of the outbox: up to 200 rows of one statement.
type pack struct {
	seq, part   int64 // part is how many rows of the statement are before this pack
	txid        string
	op          string
	shape       int64
	at          time.Time
	first       int64
	rows, total int64
	start       int64 // the number under which others are behind its statement, 0 where none is; negative: behind all of its rows
	behind      int64 // the number of the statement that it is behind, 0 where none, and
	place       int64 // behind how many of its rows
	parent      int64 // seq of that statement, where it was read behind it
	floor       int64 // what is behind the pack's statement has no lower seq
	application string
	login       string
	client      string
	tag         string
	before      []byte
	after       []byte
	olds        []byte // in their place, arrays of rows in PostgreSQL's binary form
	news        []byte
	size        int64
	cut         bool // only the beginning of its rows was read: it is larger than a record may be
}

// Ops of packs.
const (
	packInsert   = "i"
	packUpdate   = "u"
	packDelete   = "d"
	packTruncate = "t"
	packGap      = "g"
	packNew      = "n"
	packOff      = "o"
	packMark     = "m"
	packLeaf     = "p"
	packAttached = "a"
	packKey      = "k"
)

// number is that under which others are behind the pack's statement, 0 where none is.
func (p *pack) number() int64 { return max(p.start, -p.start) }

// ofRows tells whether the pack has rows, and not a text of its own.
func (p *pack) ofRows() bool {
	return p.op == packInsert || p.op == packUpdate || p.op == packDelete
}

// lastXID is behind all transactions of one number.
const lastXID = "18446744073709551615"

// load reads a page of packs behind a frame's last one.
func (r *reader) load(ctx context.Context, f *frame) (packs []pack, last bool, err error) {
	switch f.Behind {
	case top, unclaimed:
		sql := r.queries.page
		if f.Behind == unclaimed {
			sql = r.queries.unclaimed
		}
		s1, s2 := r.p.Snapshot, r.p.Open.Snapshot
		return r.collect(ctx, sql, f.Seq, f.Part, strconv.FormatUint(s1.xmax, 10), xidArray(s1.ended(s2)), s2.String(),
			r.limits.pagePacks, r.options.MaxRecordBytes, r.limits.pageBytes, cmp.Or(f.At, lastXID))
	default:
		return r.collect(ctx, r.queries.behind, []int64{f.Behind}, []string{f.XID}, []int64{f.Floor}, []int64{f.Parent},
			f.Place, f.Seq, f.Part, r.limits.pagePacks, r.options.MaxRecordBytes, r.limits.pageBytes)
	}
}

// collect reads packs; last tells that there are no more behind them.
func (r *reader) collect(ctx context.Context, sql string, args ...any) (packs []pack, last bool, err error) {
	err = r.answered(ctx, pagePatience, func(ctx context.Context) error {
		rows, err := r.db.Query(ctx, sql, args...)
		if err == nil {
			packs, err = pgx.CollectRows(rows, scanPack)
		}
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("read the outbox: %w", err)
	}
	var bytes int64
	for i := range packs {
		p := &packs[i]
		bytes += p.size
	}
	return packs, len(packs) < r.limits.pagePacks && bytes < r.limits.pageBytes, nil
}

func scanPack(row pgx.CollectableRow) (pack, error) {
	var p pack
	err := row.Scan(&p.seq, &p.part, &p.txid, &p.op, &p.shape, &p.at, &p.first, &p.rows, &p.total, &p.start, &p.behind, &p.place,
		&p.application, &p.login, &p.client, &p.tag, &p.before, &p.after, &p.size, &p.cut, (*pgtype.UndecodedBytes)(&p.olds), (*pgtype.UndecodedBytes)(&p.news),
		&p.parent, &p.floor)
	return p, err
}

// xidArray is PostgreSQL's text of an array.
func xidArray(xids []uint64) string {
	text := make([]string, len(xids))
	for i, x := range xids {
		text[i] = strconv.FormatUint(x, 10)
	}
	return "{" + strings.Join(text, ",") + "}"
}
