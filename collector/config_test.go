package collector

import (
	"strings"
	"testing"

	"datawatch/pkg/config"
)

func parse(text string) (Config, error) {
	c := DefaultConfig()
	err := config.Parse("datawatch.yaml", []byte("broker: {addresses: [\"b:1\"]}\n"+text), func(string) (string, bool) { return "", false }, &c)
	return c, err
}

func TestSourceHasDefaults(t *testing.T) {
	c, err := parse(`collector: {sources: [{name: shop-kafka, kafka: {addresses: ["k:1"]}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	s := c.Collector.Sources[0]
	if k := s.Kafka; k == nil || k.Start != "latest" || k.OnGap != "continue" || k.Shards != 1 || len(k.Topics) != 1 || k.Topics[0] != "*" {
		t.Errorf("%+v", s.Kafka)
	}
	if c.Collector.Listen != "127.0.0.1:9101" || !s.Feed {
		t.Errorf("%+v", c.Collector)
	}
}

func TestWrongConfigurationSaysWhereAndWhat(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"no source":    {`collector: {sources: []}`, "collector.sources: missing"},
		"no kind":      {`collector: {sources: [{name: a}]}`, "collector.sources[0]: 0 kinds of system"},
		"two kinds":    {`collector: {sources: [{name: a, kafka: {addresses: ["k:1"]}, mongodb: {uri: x}}]}`, "collector.sources[0]: 2 kinds of system"},
		"bad name":     {`collector: {sources: [{name: Shop_DB, kafka: {addresses: ["k:1"]}}]}`, `"Shop_DB" is not a source's name`},
		"a name twice": {`collector: {sources: [{name: a, kafka: {addresses: ["k:1"]}}, {name: a, kafka: {addresses: ["k:1"]}}]}`, "collector.sources[1].name: \"a\" is taken"},
		"postgres":     {`collector: {sources: [{name: a, postgres: {tables: ["public.*"]}}]}`, "collector.sources[0].postgres.dsn: missing"},
		"an outbox twice": {`collector: {sources: [{name: a, postgres: {dsn: "postgres://u@h/shop"}}, {name: w, postgres: {dsn: "postgres://u@h/shop", capture: wal}}, {name: b, postgres: {dsn: "postgres://v:x@h:5432/shop"}}]}`,
			"collector.sources[2].postgres.dsn: it is the database of the source \"a\" too"},
		"mongodb":         {`collector: {sources: [{name: a, mongodb: {uri: "mongodb://m"}}]}`, "collector.sources[0].mongodb.collections: missing"},
		"a mongodb URI":   {`collector: {sources: [{name: a, mongodb: {uri: "http://m", collections: ["a.*"]}}]}`, "mongodb.uri: not a MongoDB address"},
		"a mongodb glob":  {`collector: {sources: [{name: a, mongodb: {uri: "mongodb://m", collections: ["a"]}}]}`, "mongodb.collections[0]: \"a\" is not database.collection"},
		"a slow snapshot": {`collector: {sources: [{name: a, mongodb: {uri: "mongodb://m", collections: ["a.*"], snapshot: initial, snapshot_max_bytes_per_second: 10}}]}`, "64KiB or more; 0 is no limit"},
		"no address":      {`collector: {sources: [{name: a, kafka: {topics: ["*"]}}]}`, "collector.sources[0].kafka.addresses: missing"},
		"bad glob":        {`collector: {sources: [{name: a, kafka: {addresses: ["k:1"], topics: ["[a"]}}]}`, `kafka.topics[0]: "[a" is not a glob`},
		"shards":          {`collector: {sources: [{name: a, kafka: {addresses: ["k:1"], shards: 65}}]}`, "kafka.shards: 65"},
		"start":           {`collector: {sources: [{name: a, kafka: {addresses: ["k:1"], start: end}}]}`, "latest | earliest"},
		"on_gap":          {`collector: {sources: [{name: a, kafka: {addresses: ["k:1"], on_gap: skip}}]}`, "continue | stop"},
		"a slow limit":    {`collector: {sources: [{name: a, kafka: {addresses: ["k:1"], max_bytes_per_second: 10}}]}`, "64KiB or more"},
		"a typo":          {`collector: {sources: [{name: a, kafka: {addresses: ["k:1"], topcis: ["*"]}}]}`, "did you mean topics?"},
		"a wrong address": {`collector: {listen: nowhere, sources: [{name: a, kafka: {addresses: ["k:1"]}}]}`, `collector.listen: "nowhere" is not an address`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse(test.text); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v doesn't say %q", err, test.want)
			}
		})
	}
}
