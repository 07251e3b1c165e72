package transform

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"datawatch/pkg/config"
	"datawatch/pkg/event"
	"datawatch/pkg/filter"
)

// Rule is one entry of the configuration: a stream or a glob, and one thing to do.
type Rule struct {
	Stream string   `yaml:"stream"`
	Drop   bool     `yaml:"drop"`
	Rename string   `yaml:"rename"` // the stream's new name, source/entity
	Filter string   `yaml:"filter"` // CEL; events for which it is true are kept
	Key    []string `yaml:"key"`    // fields of the row
}

// Validate checks the glob, and that the entry says one thing, in a form that can work.
func (r *Rule) Validate(p *config.Problems) {
	if _, err := path.Match(r.Stream, ""); err != nil || !strings.Contains(r.Stream, "/") {
		p.Add("stream", fmt.Sprintf("%q is not a stream or a glob of streams", r.Stream), `source/entity, as in "shop-db/public.tmp_*"`)
	}
	said := 0
	for _, is := range []bool{r.Drop, r.Rename != "", r.Filter != "", len(r.Key) > 0} {
		if is {
			said++
		}
	}
	if said != 1 {
		p.Add("", fmt.Sprintf("%d things to do", said), "one of drop: true, rename, filter and key; write an entry for each")
	}
	if r.Rename != "" {
		source, entity, _ := strings.Cut(r.Rename, "/")
		if event.CheckSourceName(source) != nil || entity == "" || strings.ContainsAny(entity, "*?[\n") {
			p.Add("rename", fmt.Sprintf("%q is not a stream", r.Rename), "source/entity, as in shop-kafka/orders")
		}
	}
	if r.Filter != "" {
		if _, err := filter.Compile(r.Filter); err != nil {
			p.Add("filter", err.Error(), "CEL that gives true or false, as in self.total > 0")
		}
	}
	if slices.Contains(r.Key, "") || len(slices.Compact(slices.Sorted(slices.Values(r.Key)))) != len(r.Key) {
		p.Add("key", "a name is empty, or stands twice", "the names of top-level fields")
	}
}
