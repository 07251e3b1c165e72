package postgres

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/pkg/config"
	"datawatch/pkg/event"
)

// Values of the configuration.
const (
	captureTriggers = "triggers"
	captureWAL      = "wal"
	snapshotNever   = "never"
	snapshotInitial = "initial"
	onErrorFailOpen = "fail_open"
	onErrorStrict   = "strict"
	whenFullStop    = "stop_capture"
	whenFullGrow    = "grow"
)

const minSnapshotRate = 64 << 10

// Config is a source's section `postgres`.
type Config struct {
	// DSN reads: a URL or keywords and values. It needs no right on the watched tables.
	DSN config.Secret `yaml:"dsn"`
	// InstallDSN installs; empty: DSN does. It needs CREATE on the database, TRIGGER on the tables, and USAGE on their schemas.
	InstallDSN config.Secret `yaml:"install_dsn"`
	// Tables are "schema.table" globs with * and ?; Exclude takes away from them. They match plain names, whichever of a
	// pattern's dots is the one between schema and table, and names as they are in a stream ("we%2Eird.orders").
	Tables  []string `yaml:"tables"`
	Exclude []string `yaml:"exclude"`
	// Snapshot is never or initial: whether rows that are there already are read.
	Snapshot string `yaml:"snapshot"`
	// SnapshotRate bounds how fast a snapshot reads, by the size of rows as JSON; 0 is no limit.
	SnapshotRate config.Bytes `yaml:"snapshot_max_bytes_per_second"`
	// Capture is triggers or wal.
	Capture string `yaml:"capture"`
	// AllowUnboundedWAL lets wal run on a server whose max_slot_wal_keep_size is -1, where a collector that is away for long
	// fills the server's disk.
	AllowUnboundedWAL bool `yaml:"allow_unbounded_wal"`
	// ManageTriggers: the collector installs what is missing. Otherwise it only tells.
	ManageTriggers bool `yaml:"manage_triggers"`
	// OnError is fail_open (an error of capture doesn't fail the write) or strict.
	OnError string `yaml:"on_error"`
	Outbox  Outbox `yaml:"outbox"`
}

// Outbox bounds what waits in the watched database.
type Outbox struct {
	MaxBytes config.Bytes    `yaml:"max_bytes"`
	MaxAge   config.Duration `yaml:"max_age"` // capture stops when no collector came for this long
	// WhenFull is stop_capture or grow, which lifts both bounds.
	WhenFull string `yaml:"when_full"`
}

// SetDefaults fills what the file may leave out.
func (c *Config) SetDefaults() {
	*c = Config{
		Tables: []string{"public.*"}, Snapshot: snapshotNever, SnapshotRate: 8 << 20, Capture: captureTriggers, ManageTriggers: true, OnError: onErrorFailOpen,
		Outbox: Outbox{MaxBytes: 2 << 30, MaxAge: config.Duration(24 * time.Hour), WhenFull: whenFullStop},
	}
}

// Validate checks what can be checked without the database.
func (c *Config) Validate(p *config.Problems) {
	validateDSN(p, "dsn", c.DSN, true)
	validateDSN(p, "install_dsn", c.InstallDSN, false)
	if len(c.Tables) == 0 {
		p.Add("tables", "missing", `globs of tables to capture, as in ["public.*"]`)
	}
	validateGlobs(p, "tables", c.Tables)
	validateGlobs(p, "exclude", c.Exclude)
	p.OneOf("snapshot", c.Snapshot, snapshotNever, snapshotInitial)
	if rate := c.SnapshotRate; rate != 0 && rate < minSnapshotRate {
		p.Add("snapshot_max_bytes_per_second", fmt.Sprintf("%s is too little", rate), "64KiB or more; 0 is no limit")
	}
	p.OneOf("capture", c.Capture, captureTriggers, captureWAL)
	p.OneOf("on_error", c.OnError, onErrorFailOpen, onErrorStrict)
	p.OneOf("outbox.when_full", c.Outbox.WhenFull, whenFullStop, whenFullGrow)
	if c.Outbox.MaxBytes < 16<<20 {
		p.Add("outbox.max_bytes", fmt.Sprintf("%s is too small", c.Outbox.MaxBytes), "16MiB or more; 2GiB is usual")
	}
	if c.Outbox.MaxAge.Std() < 10*time.Minute {
		p.Add("outbox.max_age", fmt.Sprintf("%s is too short", c.Outbox.MaxAge), "10m or more; 24h is usual")
	}
}

func validateDSN(p *config.Problems, key string, dsn config.Secret, required bool) {
	if dsn == "" {
		if required {
			p.Add(key, "missing", "postgres://user:password@host:5432/database")
		}
		return
	}
	_, err := pgx.ParseConfig(dsn.Reveal())
	if err == nil {
		return
	}
	switch wrong := wrongParameter(err); wrong {
	case "":
		p.Add(key, "not a PostgreSQL address", "postgres://user:password@host:5432/database")
	case "sslmode":
		p.Add(key, "not a PostgreSQL address: its sslmode is none", "disable, allow, prefer, require, verify-ca or verify-full")
	default:
		p.Add(key, fmt.Sprintf("not a PostgreSQL address: see its %s", wrong), "postgres://user:password@host:5432/database")
	}
}

func validateGlobs(p *config.Problems, key string, globs []string) {
	for i, g := range globs {
		if schema, table, ok := strings.Cut(g, "."); !ok || schema == "" || table == "" {
			p.Add(fmt.Sprintf("%s[%d]", key, i), fmt.Sprintf("%q is not schema.table", g), "as in public.* or shop.order_?")
		}
	}
}

// selects tells whether a table is to be captured.
func (c *Config) selects(schema, table string) bool {
	return matchesAny(c.Tables, schema, table) && !matchesAny(c.Exclude, schema, table)
}

func matchesAny(globs []string, schema, table string) bool {
	return slices.ContainsFunc(globs, func(g string) bool { return matches(g, schema, table) })
}

func matches(pattern, schema, table string) bool {
	encodedSchema, encodedTable, _ := strings.Cut(event.TableEntity(schema, table), ".")
	for i, c := range pattern {
		if c != '.' {
			continue
		}
		s, t := pattern[:i], pattern[i+1:]
		if glob(s, schema) && glob(t, table) || glob(s, encodedSchema) && glob(t, encodedTable) {
			return true
		}
	}
	return false
}

// idle are the patterns of tables that none of these needs.
func (c *Config) idle(tables []*table) []string {
	var idle []string
	for _, g := range c.Tables {
		if !slices.ContainsFunc(tables, func(t *table) bool { return matches(g, t.rootSchema, t.rootName) }) {
			idle = append(idle, g)
		}
	}
	return idle
}

// glob matches * (any run of characters) and ? (one character); every other character stands for itself.
func glob(pattern, name string) bool {
	p, n := []rune(pattern), []rune(name)
	star, mark, i, j := -1, 0, 0, 0
	for j < len(n) {
		switch {
		case i < len(p) && p[i] == '*':
			star, mark = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == n[j]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}
