package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"time"

	"github.com/IBM/sarama"
	"golang.org/x/sync/errgroup"

	"datawatch/collector/internal/source"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/reason"
)

// Options are what a Source works with.
type Options struct {
	Name   string
	Config Config
	// Shard is which of Config.Shards this is, from 0.
	Shard int
	// Internal is datawatch's own broker: its topics are never read, and records larger than it takes become dead letters.
	Internal config.Broker
	Reporter source.Reporter
	Log      *slog.Logger
}

// Source reads a Kafka cluster.
type Source struct {
	Options
	selection selection
	// refresh is how often the cluster is asked for new topics and partitions; patience, for how long it may not answer.
	refresh, patience time.Duration
	// stalledAfter keeps what mends itself, as a change of leaders does, from being told.
	stalledAfter time.Duration
	groupEvery   time.Duration
}

var _ source.Source = (*Source)(nil)

// New makes the source; it connects when it is run.
func New(o Options) *Source {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Log = o.Log.With("source", o.Name)
	return &Source{
		Options:   o,
		selection: selection{o.Config.Topics, o.Config.Exclude, o.Internal.TopicPrefix + "."},
		refresh:   5 * time.Second,
		patience:  15 * time.Second,

		stalledAfter: 10 * time.Second,
		groupEvery:   groupEvery,
	}
}

// Run implements source.Source. Where partitions begin that exist at the very first run is committed before the first
// record is read.
func (s *Source) Run(ctx context.Context, progress source.Progress, emit source.Emit) error {
	s.Reporter.State(source.Connecting, reason.Text{})
	positions, first, err := readProgress(progress)
	if err != nil {
		return err
	}
	if first && s.Shard > 0 {
		return errNotBegun
	}
	all, running := errgroup.WithContext(ctx)
	// Connections end before anybody is waited for: a call on them has no other way to be stopped.
	connected, disconnect := context.WithCancel(running)
	defer disconnect()
	cluster, err := newCluster(connected, s.Config.Cluster, s.Internal)
	if err != nil {
		return err
	}
	defer cluster.close()
	r := newReader(s, cluster, positions, emit)
	if s.Config.ConsumerGroup != noGroup {
		r.group = &group{name: cmp.Or(s.Config.ConsumerGroup, "datawatch-"+s.Name), cluster: cluster, log: s.Log, every: s.groupEvery, reached: map[partition]int64{}}
		all.Go(func() error { return sheltered(func() error { return r.group.run(running) }) })
	}
	r.fetchers = func(f *fetcher) { all.Go(func() error { return sheltered(func() error { return f.run(running) }) }) }
	all.Go(func() error { return sheltered(func() error { return r.run(running, first) }) })
	err = all.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

var errNotBegun = reason.New(reason.KafkaNotBegun.With())

// mine tells whether this shard reads a partition. A topic's partitions go to the shards in turn.
func (s *Source) mine(p partition) bool {
	if s.Config.Shards <= 1 {
		return true
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(p.topic)) // never fails
	return int((int64(hash.Sum32())+int64(p.id))%int64(s.Config.Shards)) == s.Shard
}

// Check tells whether the cluster can be reached and what would be read.
func (s *Source) Check(ctx context.Context) []daemon.Finding {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	finding := daemon.Finding{What: fmt.Sprintf("source %s: kafka %v", s.Name, s.Config.Addresses)}
	cluster, err := newAnswering(ctx, s.Config.Cluster, s.Internal)
	if err == nil {
		defer cluster.close()
		var topics map[string]topic
		if topics, err = cluster.topics(ctx); err == nil {
			return append([]daemon.Finding{finding}, s.checkTopics(ctx, cluster, topics)...)
		}
	}
	finding.Err, finding.Remedy = err, toDo(err)
	return []daemon.Finding{finding}
}

// toDo is what to do about a cluster that isn't read.
func toDo(err error) string {
	if _, do := reason.Of(err); !do.IsZero() {
		return do.String()
	}
	return reason.DoKafkaUnanswered.With().String()
}

// checkTopics finds out whether the topics that match may be read.
func (s *Source) checkTopics(ctx context.Context, cluster *cluster, topics map[string]topic) []daemon.Finding {
	finding := daemon.Finding{What: fmt.Sprintf("source %s: topics", s.Name)}
	leaders := map[partition]int32{}
	var matching int
	for name, t := range topics {
		if !s.selection.includes(name) {
			continue
		}
		matching++
		for id, leader := range t.leaders {
			leaders[partition{name, id}] = leader
		}
	}
	finding.Detail = fmt.Sprintf("%d topics with %d partitions of the %d that the cluster shows", matching, len(leaders), len(topics))
	if matching == 0 {
		finding.Detail = fmt.Sprintf("none of the %d topics that the cluster shows matches yet", len(topics))
	}
	findings := []daemon.Finding{finding}
	const remedy = "grant DESCRIBE and READ on the topic, or exclude it"
	for p, why := range mayRead(ctx, cluster, leaders) {
		findings = append(findings, daemon.Finding{What: fmt.Sprintf("source %s: read %s", s.Name, p), Err: why, Remedy: remedy})
	}
	denied, err := cluster.denied(ctx, s.unseen(topics, nil))
	if err != nil {
		findings = append(findings, daemon.Finding{What: fmt.Sprintf("source %s: topics by name", s.Name), Err: err, Remedy: toDo(err)})
	}
	for _, name := range denied {
		findings = append(findings, daemon.Finding{What: fmt.Sprintf("source %s: describe %s", s.Name, name), Err: sarama.ErrTopicAuthorizationFailed, Remedy: remedy})
	}
	return findings
}

// maxCheckFindings bounds what is told of a cluster where nothing may be read.
const maxCheckFindings = 10

// mayRead asks each leader for a little of its partitions, and gives those that it refuses.
func mayRead(ctx context.Context, cluster *cluster, leaders map[partition]int32) map[partition]error {
	refused := map[partition]error{}
	first, _ := cluster.offsets(ctx, leaders, oldest, readCommitted)
	due := map[int32]map[partition]int64{}
	for p, offset := range first {
		if due[leaders[p]] == nil {
			due[leaders[p]] = map[partition]int64{}
		}
		due[leaders[p]][p] = offset
	}
	for p, leader := range leaders {
		if _, ok := first[p]; !ok && len(refused) < maxCheckFindings {
			refused[p] = errors.New("its leader doesn't answer for it")
			if leader == noLeader {
				refused[p] = errNoLeader
			}
		}
	}
	for leader, partitions := range due {
		f := fetcher{cluster: cluster, broker: leader}
		response, err := f.ask(partitions, 1)
		if err != nil {
			continue // offsets were just told by this broker: it is up, and run would say more
		}
		for p := range partitions {
			if block := response.GetBlock(p.topic, p.id); block != nil && !isOK(block.Err) && len(refused) < maxCheckFindings {
				refused[p] = block.Err
			}
		}
	}
	return refused
}
