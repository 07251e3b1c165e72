package config

import (
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the images hold no zone files
)

// Shared are the sections that every service reads. A service's own Config embeds it with the tag `yaml:",inline"`.
type Shared struct {
	// Instance is the first line of every message where it is set: "staging".
	Instance       string         `yaml:"instance"`
	Broker         Broker         `yaml:"broker"`
	Telegram       Telegram       `yaml:"telegram"`
	Mask           []Mask         `yaml:"mask"`
	SchemaRegistry SchemaRegistry `yaml:"schema_registry"`
	Formats        []Format       `yaml:"formats"`
	Log            Log            `yaml:"log"`
}

// DefaultShared is what stands where the file says nothing.
func DefaultShared() Shared {
	day := Duration(24 * time.Hour)
	return Shared{
		Broker: Broker{
			TopicPrefix: "datawatch", Partitions: 6, Replication: 1, MaxRecordBytes: 8 << 20,
			Retention: Retention{Raw: 7 * day, Clean: 30 * day, Violations: 365 * day, DeadLetter: 30 * day},
		},
		Telegram: Telegram{
			APIURL: "https://api.telegram.org", Language: "en", Timezone: Zone{time.UTC}, DigestAt: Clock{8, 30},
		},
		Log: Log{Level: "info", Format: "text"},
	}
}

// Cluster says how a Kafka cluster is reached.
type Cluster struct {
	Addresses []string `yaml:"addresses"` // host:port
	TLS       TLS      `yaml:"tls"`
	SASL      SASL     `yaml:"sasl"`
}

// Validate checks the addresses.
func (c *Cluster) Validate(p *Problems) {
	if len(c.Addresses) == 0 {
		p.Add("addresses", "missing", "at least one host:port")
	}
	for i, a := range c.Addresses {
		if !strings.Contains(a, ":") {
			p.Add(fmt.Sprintf("addresses[%d]", i), fmt.Sprintf("%q has no port", a), "host:port, as in kafka:9092")
		}
	}
}

// TLS of a connection. With Enabled and no files the system's roots are trusted.
type TLS struct {
	Enabled  bool   `yaml:"enabled"`
	CAFile   string `yaml:"ca_file"`
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// Validate checks that a certificate has its key.
func (t *TLS) Validate(p *Problems) {
	if (t.CertFile == "") != (t.KeyFile == "") {
		p.Add("", "cert_file and key_file go together", "give both or neither")
	}
	if !t.Enabled && (t.CAFile != "" || t.CertFile != "") {
		p.Add("enabled", "files are given, but TLS is off", "enabled: true")
	}
}

// SASL is how a client proves who it is; an empty Mechanism is no SASL.
type SASL struct {
	Mechanism string `yaml:"mechanism"` // plain | scram-sha-256 | scram-sha-512
	Username  string `yaml:"username"`
	Password  Secret `yaml:"password"`
}

// Validate checks the mechanism.
func (s *SASL) Validate(p *Problems) {
	p.OneOf("mechanism", s.Mechanism, "", "plain", "scram-sha-256", "scram-sha-512")
	if s.Mechanism != "" && s.Username == "" {
		p.Add("username", "missing", "SASL needs a user")
	}
}

// Broker is the internal Kafka.
type Broker struct {
	Cluster        `yaml:",inline"`
	TopicPrefix    string    `yaml:"topic_prefix"`
	Partitions     int32     `yaml:"partitions"`
	Replication    int32     `yaml:"replication"`
	Retention      Retention `yaml:"retention"`
	MaxRecordBytes Bytes     `yaml:"max_record_bytes"`
}

// Retention is how long each topic keeps its records.
type Retention struct {
	Raw        Duration `yaml:"raw"`
	Clean      Duration `yaml:"clean"`
	Violations Duration `yaml:"violations"`
	DeadLetter Duration `yaml:"deadletter"`
}

// shortestKept keeps out what would be gone before anybody reads it.
const shortestKept = time.Second

// Validate checks that records stay for some time.
func (r *Retention) Validate(p *Problems) {
	for _, kept := range []struct {
		key  string
		time Duration
	}{{"raw", r.Raw}, {"clean", r.Clean}, {"violations", r.Violations}, {"deadletter", r.DeadLetter}} {
		if kept.time.Std() < shortestKept {
			p.Add(kept.key, fmt.Sprintf("%s is too short", kept.time), "1s or more, as in 12h or 7d")
		}
	}
}

var topicPrefix = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$`)

// Validate checks the ranges.
func (b *Broker) Validate(p *Problems) {
	if !topicPrefix.MatchString(b.TopicPrefix) {
		p.Add("topic_prefix", fmt.Sprintf("%q can't begin a topic's name", b.TopicPrefix), "letters, digits, dots, dashes and underscores")
	}
	if b.Partitions < 1 {
		p.Add("partitions", "too few", "1 or more; 6 is usual")
	}
	if b.Replication < 1 {
		p.Add("replication", "too few", "1 or more; 3 is usual where there are 3 brokers")
	}
	if b.MaxRecordBytes < 64<<10 || b.MaxRecordBytes > 64<<20 {
		p.Add("max_record_bytes", fmt.Sprintf("%s is out of range", b.MaxRecordBytes), "64KiB to 64MiB")
	}
}

// Telegram says where messages go. An empty Token sends them to the log.
type Telegram struct {
	Token    Secret           `yaml:"token"`
	APIURL   string           `yaml:"api_url"`
	Proxy    Secret           `yaml:"proxy"` // http://, https:// or socks5://; may hold a password
	Language string           `yaml:"language"`
	Timezone Zone             `yaml:"timezone"`
	DigestAt Clock            `yaml:"digest_at"`
	Feed     Chat             `yaml:"feed"`
	Alerts   Chat             `yaml:"alerts"`
	Critical Chat             `yaml:"critical"`
	Owners   map[string]Owner `yaml:"owners"`
	Allow    []int64          `yaml:"allow"`
	Users    []int64          `yaml:"users"`
}

// Chat is a chat and, in a forum, a thread of it.
type Chat struct {
	ID     int64 `yaml:"chat"`
	Thread int   `yaml:"thread"`
}

// Owner is where the alerts of an owner's schemas go, those of severity critical elsewhere where that is set, and who is
// mentioned.
type Owner struct {
	Chat     `yaml:",inline"`
	Critical Chat     `yaml:"critical"`
	Mention  []string `yaml:"mention"`
}

// AlertRoutes are the chats of an owner's alerts of a severity, the first choice first, the chat of all alerts last: what
// is nearer to the owner goes before what is nearer to the severity.
func (t *Telegram) AlertRoutes(owner string, critical bool) []Chat {
	var routes []Chat
	add := func(c Chat, wanted bool) {
		if wanted && c.ID != 0 && !slices.Contains(routes, c) {
			routes = append(routes, c)
		}
	}
	o := t.Owners[owner]
	add(o.Critical, critical)
	add(o.Chat, true)
	add(t.Critical, critical)
	if !slices.Contains(routes, t.Alerts) {
		routes = append(routes, t.Alerts)
	}
	return routes
}

// AlertChats are all chats that alerts may go to, that of all alerts first.
func (t *Telegram) AlertChats() []Chat {
	chats := []Chat{t.Alerts}
	for _, owner := range append([]string{""}, slices.Sorted(maps.Keys(t.Owners))...) {
		for _, c := range t.AlertRoutes(owner, true) {
			if !slices.Contains(chats, c) {
				chats = append(chats, c)
			}
		}
	}
	return chats
}

// Validate checks the addresses and the chats.
func (t *Telegram) Validate(p *Problems) {
	if u, err := url.Parse(t.APIURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		p.Add("api_url", fmt.Sprintf("%q is not a URL", t.APIURL), "https://api.telegram.org")
	}
	if t.Proxy != "" {
		u, err := url.Parse(t.Proxy.Reveal())
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" {
			p.Add("proxy", "not a proxy's URL", "http://host:port or socks5://user:password@host:port")
		}
	}
	p.OneOf("language", t.Language, "en", "vi")
	if t.Token != "" && t.Alerts.ID == 0 {
		p.Add("alerts.chat", "missing", "the id of the chat for alerts; groups have negative ids")
	}
	t.Feed.validate("feed", p)
	if t.Token == "" {
		t.Alerts.validate("alerts", p)
	}
	t.Critical.validate("critical", p)
	for _, name := range slices.Sorted(maps.Keys(t.Owners)) {
		o := t.Owners[name]
		o.Chat.validate("owners."+name, p)
		o.Critical.validate("owners."+name+".critical", p)
	}
}

func (c Chat) validate(path string, p *Problems) {
	if c.ID == 0 && c.Thread != 0 {
		p.Add(path+".chat", "missing", "the chat whose thread this is")
	}
}

// Mask hides fields of a stream.
type Mask struct {
	Stream string   `yaml:"stream"` // a stream or a glob
	Fields []string `yaml:"fields"`
	How    string   `yaml:"how"` // drop | hash | last4
}

// Validate checks that the entry says what and how.
func (m *Mask) Validate(p *Problems) {
	if !strings.Contains(m.Stream, "/") {
		p.Add("stream", fmt.Sprintf("%q is not a stream", m.Stream), "source/entity, as in shop-db/public.users")
	}
	if len(m.Fields) == 0 {
		p.Add("fields", "missing", "the names of the fields to hide")
	}
	p.OneOf("how", m.How, "drop", "hash", "last4")
}

// SchemaRegistry is Confluent's, for Avro and Protobuf; an empty URL is none.
type SchemaRegistry struct {
	URL      string `yaml:"url"`
	Username string `yaml:"username"`
	Password Secret `yaml:"password"`
	CAFile   string `yaml:"ca_file"`
}

// Log says how much is logged, and how.
type Log struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// Validate checks level and format.
func (l *Log) Validate(p *Problems) {
	p.OneOf("level", l.Level, "debug", "info", "warn", "error")
	p.OneOf("format", l.Format, "text", "json")
}

// SlogLevel is the level as slog has it.
func (l Log) SlogLevel() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return slog.LevelInfo
	}
	return level
}

// OneOf adds a problem where value is none of the allowed ones.
func (p *Problems) OneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		allowed = slices.DeleteFunc(slices.Clone(allowed), func(a string) bool { return a == "" })
		p.Add(key, fmt.Sprintf("%q is not allowed", value), strings.Join(allowed, " | "))
	}
}
