package collector

import (
	"context"
	"fmt"
	"log/slog"
	"path"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"datawatch/collector/internal/kafka"
	"datawatch/collector/internal/mongodb"
	"datawatch/collector/internal/postgres"
	"datawatch/collector/internal/postgres/wal"
	"datawatch/collector/internal/source"
	"datawatch/collector/internal/supervise"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/reason"
)

// checker is what a source can say about itself before it is run, and of what it has captured by then.
type checker interface {
	source.Source
	source.Checkpointer
	Check(ctx context.Context) []daemon.Finding
}

// place is where a source is run: what it reports to, logs to and counts with.
type place struct {
	reporter source.Reporter
	log      *slog.Logger
	metrics  prometheus.Registerer
	shard    int
}

// nowhere is the place of a source that is only asked.
func nowhere() place { return place{quiet{}, slog.New(slog.DiscardHandler), nil, 0} }

// open makes a source of the configuration; of one that is split, its first shard.
func open(c Config, s Source, at place) checker {
	switch {
	case s.Postgres != nil && s.Postgres.CapturesWAL():
		return openWAL(c, s, at)
	case s.Postgres != nil:
		return openPostgres(c, s, at)
	case s.Kafka != nil:
		return kafka.New(kafka.Options{Name: s.Name, Config: *s.Kafka, Shard: at.shard, Internal: c.Broker, Reporter: at.reporter, Log: at.log})
	case s.MongoDB != nil:
		return mongodb.New(mongodb.Options{Name: s.Name, Config: *s.MongoDB, MaxRecordBytes: int64(c.Broker.MaxRecordBytes), Reporter: at.reporter, Log: at.log})
	default:
		panic(fmt.Sprintf("collector: source %s has no kind, which Validate refuses", s.Name))
	}
}

func openPostgres(c Config, s Source, at place) *postgres.Source {
	return postgres.New(s.Name, *s.Postgres, postgres.Options{
		MaxRecordBytes: int64(c.Broker.MaxRecordBytes), Log: at.log, Metrics: at.metrics, Reporter: at.reporter, Mask: c.Mask,
	})
}

func openWAL(c Config, s Source, at place) *wal.Source {
	return wal.New(s.Name, *s.Postgres, wal.Options{
		MaxRecordBytes: int64(c.Broker.MaxRecordBytes), Log: at.log, Metrics: at.metrics, Reporter: at.reporter, Mask: c.Mask,
	})
}

// units are what one collector at a time does: each source or shard, with its audience, the desk, and the watch over the
// validator.
func units(c Config, shown *show, env daemon.Env) []supervise.Unit {
	shown.sources.Store(&c.Collector.Sources)
	units := []supervise.Unit{
		{Name: commandsPart, Do: shown.hearCommands},
		{Name: "watch", Do: func(ctx context.Context) error { return shown.watch(ctx, c) }},
	}
	for _, s := range c.Collector.Sources {
		shards := 0 // can't be split
		if s.Kafka != nil {
			shards = s.Kafka.Shards
		}
		for shard := range max(shards, 1) {
			units = append(units, supervise.Unit{
				Name: s.Name, Shard: shard, Shards: shards, Feed: shown.audience(s.Feed), Config: unitConfig{s, masksOf(c.Mask, s.Name)},
				New: func(reporter source.Reporter) source.Source {
					return open(c, s, place{reporter, env.Log, env.Metrics, shard})
				},
			})
		}
	}
	return units
}

// unitConfig is what a source goes by.
type unitConfig struct {
	source Source
	mask   []config.Mask
}

// masksOf are the entries that may be of a source's streams.
func masksOf(mask []config.Mask, source string) (of []config.Mask) {
	for _, m := range mask {
		name, _, _ := strings.Cut(m.Stream, "/") // which a star doesn't match
		if matches, err := path.Match(name, source); matches || err != nil {
			of = append(of, m)
		}
	}
	return of
}

// quiet is a reporter that nobody listens to.
type quiet struct{}

var _ source.Reporter = quiet{}

func (quiet) State(source.State, reason.Text) {}
func (quiet) Lag(float64)                     {}
func (quiet) Backlog(int64)                   {}
func (quiet) Gap(string)                      {}
