package mongodb

import (
	"fmt"
	"regexp"
	"strings"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
	"go.mongodb.org/mongo-driver/mongo/options"

	"datawatch/pkg/config"
)

// Config is `mongodb:` of a source.
type Config struct {
	// URI is mongodb:// or mongodb+srv://, with credentials and TLS as drivers take them.
	URI config.Secret `yaml:"uri"`
	// Collections are "database.collection" globs with * and ?; in a collection, * also stands for dots. Exclude takes away
	// from them.
	Collections []string `yaml:"collections"`
	Exclude     []string `yaml:"exclude"`
	// Snapshot is never or initial: whether documents that are there already are read.
	Snapshot string `yaml:"snapshot"`
	// SnapshotRate bounds how fast a snapshot reads, by the size of documents as BSON; 0 is no limit.
	SnapshotRate config.Bytes `yaml:"snapshot_max_bytes_per_second"`
	// OnGap says what happens where the deployment no longer holds the changes: continue (behind a gap event) or stop.
	OnGap string `yaml:"on_gap"`
	// ManagePreImages: the source switches pre-images on (MongoDB 6.0 and later) for the captured collections, for which it
	// needs the right collMod. Otherwise it changes nothing.
	ManagePreImages bool `yaml:"manage_pre_images"`
}

// Values of the configuration.
const (
	snapshotNever   = "never"
	snapshotInitial = "initial"
	gapContinue     = "continue"
	gapStop         = "stop"
)

// SetDefaults sets what stands where the file says nothing.
func (c *Config) SetDefaults() {
	*c = Config{Snapshot: snapshotNever, SnapshotRate: 8 << 20, OnGap: gapContinue}
}

// Validate checks what can be checked without the deployment.
func (c *Config) Validate(p *config.Problems) {
	c.validateURI(p)
	if len(c.Collections) == 0 {
		p.Add("collections", "missing", `globs of collections to capture, as in ["shop.*"]`)
	}
	validateGlobs(p, "collections", c.Collections)
	validateGlobs(p, "exclude", c.Exclude)
	p.OneOf("snapshot", c.Snapshot, snapshotNever, snapshotInitial)
	if rate := c.SnapshotRate; rate != 0 && rate < 64<<10 {
		p.Add("snapshot_max_bytes_per_second", fmt.Sprintf("%s is too little", rate), "64KiB or more; 0 is no limit")
	}
	p.OneOf("on_gap", c.OnGap, gapContinue, gapStop)
}

// validateURI checks the address; one with +srv is resolved by DNS, which is left to connecting.
func (c *Config) validateURI(p *config.Problems) {
	const example = "mongodb://user:password@host:27017/?replicaSet=rs0"
	uri := c.URI.Reveal()
	switch {
	case uri == "":
		p.Add("uri", "missing", example)
	case strings.HasPrefix(uri, "mongodb+srv://"):
	case !strings.HasPrefix(uri, "mongodb://") || options.Client().ApplyURI(uri).Validate() != nil: // the error may quote the password
		p.Add("uri", "not a MongoDB address", example)
	}
}

func validateGlobs(p *config.Problems, key string, globs []string) {
	for i, g := range globs {
		if database, collection, ok := strings.Cut(g, "."); !ok || database == "" || collection == "" {
			p.Add(fmt.Sprintf("%s[%d]", key, i), fmt.Sprintf("%q is not database.collection", g), "as in shop.* or shop.order_?")
		}
	}
}

// namespace names a collection.
type namespace struct{ database, collection string }

func (n namespace) String() string { return n.database + "." + n.collection }

// glob is one of the configuration's, as regular expressions that server and source read alike.
type glob struct {
	text                 namespace
	database, collection *regexp.Regexp
}

// selection decides which collections are captured.
type selection struct{ include, exclude []glob }

func newSelection(c Config) selection {
	return selection{globs(c.Collections), globs(c.Exclude)}
}

func globs(texts []string) []glob {
	all := make([]glob, len(texts))
	for i, text := range texts {
		database, collection, _ := strings.Cut(text, ".")
		all[i] = glob{
			namespace{database, collection},
			regexp.MustCompile("(?s)" + pattern(database)), regexp.MustCompile("(?s)" + pattern(collection)),
		}
	}
	return all
}

// pattern is the regular expression of a glob: * is any run of characters, ? is one.
func pattern(glob string) string {
	quoted := regexp.QuoteMeta(glob)
	return "^" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(quoted) + "$"
}

func (s selection) includes(n namespace) bool {
	return n.collection != "" && !strings.HasPrefix(n.collection, "system.") && matchesAny(s.include, n) && !matchesAny(s.exclude, n)
}

func matchesAny(globs []glob, n namespace) bool {
	for _, g := range globs {
		if g.database.MatchString(n.database) && g.collection.MatchString(n.collection) {
			return true
		}
	}
	return false
}

// includesDatabase tells whether a collection of the database could be captured.
func (s selection) includesDatabase(database string) bool {
	for _, g := range s.include {
		if g.database.MatchString(database) {
			return true
		}
	}
	return false
}

// database is the one that all globs name, or "": a stream on one database needs no rights on others.
func (s selection) database() string {
	var only string
	for _, g := range s.include {
		if strings.ContainsAny(g.text.database, "*?") || only != "" && only != g.text.database {
			return ""
		}
		only = g.text.database
	}
	return only
}

// everything tells whether all that a stream on database() shows is captured.
func (s selection) everything() bool {
	if len(s.exclude) > 0 {
		return false
	}
	for _, g := range s.include {
		if g.text.collection == "*" && (g.text.database == "*" || g.text.database == s.database()) {
			return true
		}
	}
	return false
}

// filter is the stage that spares the server looking up and sending what isn't captured. Events that concern a collection
// by another name than ns, or a whole database, pass.
func (s selection) filter() bson.D {
	some := bson.A{bson.D{{Key: "operationType", Value: bson.D{{Key: "$in", Value: bson.A{opInvalidate, opDropDatabase, opRename}}}}}}
	for _, g := range s.include {
		some = append(some, g.matcher())
	}
	match := bson.D{{Key: "$or", Value: some}}
	if len(s.exclude) > 0 {
		none := bson.A{}
		for _, g := range s.exclude {
			m := g.matcher()
			none = append(none, append(m, bson.E{Key: "operationType", Value: bson.D{{Key: "$ne", Value: opRename}}}))
		}
		match = append(match, bson.E{Key: "$nor", Value: none})
	}
	return bson.D{{Key: "$match", Value: match}}
}

func (g glob) matcher() bson.D {
	return bson.D{
		{Key: "ns.db", Value: primitive.Regex{Pattern: pattern(g.text.database), Options: "s"}},
		{Key: "ns.coll", Value: primitive.Regex{Pattern: pattern(g.text.collection), Options: "s"}},
	}
}
