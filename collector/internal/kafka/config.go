package kafka

import (
	"fmt"
	"path"
	"strings"

	"datawatch/pkg/config"
)

// Config is `kafka:` of a source.
type Config struct {
	config.Cluster `yaml:",inline"`
	// Topics and Exclude are globs of topic names; `*` also stands for dots.
	Topics  []string `yaml:"topics"`
	Exclude []string `yaml:"exclude"`
	// Start says where partitions begin that exist when the source first runs: latest or earliest. Later ones are read
	// from their beginning.
	Start string `yaml:"start"`
	// OnGap says what happens where records can't be read any more: continue (behind a gap event) or stop.
	OnGap string `yaml:"on_gap"`
	// Shards is into how many units the source's partitions are split, which several collectors share. It may be changed at
	// any time.
	Shards int `yaml:"shards"`
	// ConsumerGroup is where the cluster's own tools find how far the source is; nobody reads that back. Default:
	// datawatch-<source>; none: nothing is committed in the cluster.
	ConsumerGroup string `yaml:"consumer_group"`
	// MaxBytesPerSecond bounds what is read, counted as keys, values and headers; 0 is no bound.
	MaxBytesPerSecond config.Bytes `yaml:"max_bytes_per_second"`
}

// Values of Start and OnGap.
const (
	startLatest   = "latest"
	startEarliest = "earliest"
	gapContinue   = "continue"
	gapStop       = "stop"
)

// maxShards bounds the connections that one source opens.
const maxShards = 64

// minBytesPerSecond keeps a fetch, which is at most a second's worth, from being smaller than usual records.
const minBytesPerSecond = 64 << 10

// SetDefaults sets what stands where the file says nothing.
func (c *Config) SetDefaults() {
	*c = Config{Topics: []string{"*"}, Start: startLatest, OnGap: gapContinue, Shards: 1}
}

// Validate checks globs and ranges.
func (c *Config) Validate(p *config.Problems) {
	c.Cluster.Validate(p)
	if len(c.Topics) == 0 {
		p.Add("topics", "empty", `at least one topic or glob, as in ["*"]`)
	}
	checkGlobs(p, "topics", c.Topics)
	checkGlobs(p, "exclude", c.Exclude)
	p.OneOf("start", c.Start, startLatest, startEarliest)
	p.OneOf("on_gap", c.OnGap, gapContinue, gapStop)
	if c.Shards < 1 || c.Shards > maxShards {
		p.Add("shards", fmt.Sprintf("%d is out of range", c.Shards), fmt.Sprintf("1 to %d", maxShards))
	}
	if c.MaxBytesPerSecond != 0 && c.MaxBytesPerSecond < minBytesPerSecond {
		p.Add("max_bytes_per_second", fmt.Sprintf("%s is too little", c.MaxBytesPerSecond), "64KiB or more, or 0 for no bound")
	}
}

func checkGlobs(p *config.Problems, key string, globs []string) {
	for i, glob := range globs {
		if _, err := path.Match(glob, ""); err != nil || glob == "" {
			p.Add(fmt.Sprintf("%s[%d]", key, i), fmt.Sprintf("%q is not a glob", glob), "as in orders, payments.* or *")
		}
	}
}

// selection decides which topics are read.
type selection struct {
	topics, exclude []string
	own             string // what the names of datawatch's own topics begin with
}

// includes tells whether a topic is read. A topic's name holds no slash, so path.Match's star stands for any run of
// characters; globs were checked by Validate.
func (s selection) includes(topic string) bool {
	if strings.HasPrefix(topic, "__") || strings.HasPrefix(topic, s.own) {
		return false
	}
	return matchesAny(s.topics, topic) && !matchesAny(s.exclude, topic)
}

func matchesAny(globs []string, topic string) bool {
	for _, glob := range globs {
		if ok, _ := path.Match(glob, topic); ok {
			return true
		}
	}
	return false
}
