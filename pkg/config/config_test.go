package config

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

type file struct {
	Shared    `yaml:",inline"`
	Collector struct {
		Listen  string   `yaml:"listen"`
		Sources []source `yaml:"sources"`
	} `yaml:"collector"`
}

type source struct {
	Name     string    `yaml:"name"`
	Feed     bool      `yaml:"feed"`
	Postgres *postgres `yaml:"postgres"`
}

func (s *source) SetDefaults() { s.Feed = true }

type postgres struct {
	DSN Secret `yaml:"dsn"`
}

func parse(t *testing.T, text string, env map[string]string) (*file, error) {
	t.Helper()
	f := &file{Shared: DefaultShared()}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	return f, Parse("datawatch.yaml", []byte(text), lookup, f)
}

const valid = `
broker:
  addresses: [kafka:9092]
`

func TestFileIsReadOverTheDefaults(t *testing.T) {
	f, err := parse(t, `
instance: staging
broker:
  addresses: [kafka:9092]
  retention: {clean: 12h}
  max_record_bytes: 1MiB
telegram:
  token: ${TOKEN}
  timezone: Asia/Ho_Chi_Minh
  digest_at: "07:05"
  alerts: {chat: -100456}
  owners: {payments: {chat: -100789, mention: ["@oncall"]}}
collector:
  sources:
    - name: shop-db
      postgres: {dsn: "postgres://${HOST:-localhost}/shop"}
    - {name: quiet, feed: false}
preprocessor: {listen: ignored here}
`, map[string]string{"TOKEN": "12:secret\nfeed: injected"})
	if err != nil {
		t.Fatal(err)
	}
	if f.Broker.Retention.Clean.Std() != 12*time.Hour || f.Broker.Retention.Raw.Std() != 7*24*time.Hour || f.Broker.MaxRecordBytes != 1<<20 || f.Broker.Partitions != 6 {
		t.Errorf("broker: %+v", f.Broker)
	}
	if f.Telegram.Token.Reveal() != "12:secret\nfeed: injected" || f.Telegram.Timezone.String() != "Asia/Ho_Chi_Minh" || f.Telegram.DigestAt != (Clock{7, 5}) {
		t.Errorf("telegram: %+v", f.Telegram)
	}
	if o := f.Telegram.Owners["payments"]; o.ID != -100789 || o.Mention[0] != "@oncall" {
		t.Errorf("owner: %+v", o)
	}
	s := f.Collector.Sources
	if len(s) != 2 || !s[0].Feed || s[1].Feed || s[0].Postgres.DSN.Reveal() != "postgres://localhost/shop" || s[1].Postgres != nil {
		t.Errorf("sources: %+v", s)
	}
}

func TestEveryProblemIsToldWithPathLineAndRemedy(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown key":        {valid + "telegran: {}\n", `datawatch.yaml:4: telegran: unknown key "telegran" (did you mean telegram?)`},
		"another's section":  {valid + "preprocesor: {}\n", `datawatch.yaml:4: preprocesor: unknown key "preprocesor" (did you mean preprocessor?)`},
		"unknown inner key":  {"broker:\n  adresses: [a:1]\n  addresses: [a:1]\n", `datawatch.yaml:2: broker.adresses: unknown key "adresses" (did you mean addresses?)`},
		"nothing near":       {valid + "log: {colour: red}\n", `log.colour: unknown key "colour" (known: level, format)`},
		"wrong size":         {"broker: {addresses: [a:1], max_record_bytes: 8 MB}\n", `datawatch.yaml:1: broker.max_record_bytes: "8 MB" is not a size (expected: a size such as 8MiB or 2GiB)`},
		"wrong number":       {"broker: {addresses: [a:1], partitions: many}\n", `broker.partitions: "many" is none (expected: a whole number)`},
		"wrong bool":         {"broker: {addresses: [a:1], tls: {enabled: yes}}\n", `broker.tls.enabled: "yes" is neither (expected: true or false)`},
		"wrong span":         {"broker:\n  addresses: [a:1]\n  retention:\n    raw: 1 week\n", `datawatch.yaml:4: broker.retention.raw: "1 week" is not a time span`},
		"wrong zone":         {valid + "telegram: {timezone: Hanoi}\n", `telegram.timezone: "Hanoi" is not a time zone`},
		"wrong choice":       {valid + "log: {level: loud}\n", `datawatch.yaml:4: log.level: "loud" is not allowed (debug | info | warn | error)`},
		"missing":            {"instance: x\n", `datawatch.yaml: broker.addresses: missing (at least one host:port)`},
		"no port":            {"broker:\n  addresses:\n    - kafka\n", `datawatch.yaml:3: broker.addresses[0]: "kafka" has no port`},
		"missing variable":   {valid + "instance: ${NOWHERE}\n", `instance: the environment has no NOWHERE: set it, or give a default as ${NOWHERE:-…}`},
		"twice":              {valid + "instance: a\ninstance: b\n", `datawatch.yaml:5: instance: the key stands twice (keep one)`},
		"list for mapping":   {valid + "log: [a]\n", `log: a mapping is expected here (keys: level, format)`},
		"mapping for list":   {"broker: {addresses: {a: 1}}\n", `broker.addresses: a list is expected here`},
		"not YAML":           {"broker: [\n", `datawatch.yaml:`},
		"list item":          {valid + "mask:\n  - {stream: shop-db/public.users, fields: [a], how: drop}\n  - {stream: users, fields: [a], how: drop}\n", `datawatch.yaml:6: mask[1].stream: "users" is not a stream`},
		"missing secret":     {valid + "telegram: {token_file: /does/not/exist}\n", `telegram.token_file: can't read /does/not/exist: no such file or directory`},
		"TLS files, no TLS":  {"broker: {addresses: [a:1], tls: {ca_file: x}}\n", `broker.tls.enabled: files are given, but TLS is off`},
		"token, no chat":     {valid + "telegram: {token: abc}\n", `telegram.alerts.chat: missing`},
		"kept for no time":   {"broker:\n  addresses: [a:1]\n  retention: {raw: 0s}\n", `datawatch.yaml:3: broker.retention.raw: 0s is too short (1s or more, as in 12h or 7d)`},
		"thread, no chat":    {valid + "telegram:\n  feed: {thread: 7}\n", `datawatch.yaml:5: telegram.feed.chat: missing (the chat whose thread this is)`},
		"owner's, no chat":   {valid + "telegram: {owners: {payments: {thread: 7}}}\n", `datawatch.yaml:4: telegram.owners.payments.chat: missing (the chat whose thread this is)`},
		"two secrets":        {valid + "telegram:\n  token: a\n  token_file: config_test.go\n  alerts: {chat: -1}\n", `datawatch.yaml:6: telegram.token_file: the secret is given by token too (keep one)`},
		"two at once, first": {"broker: {partitions: 0}\n", `broker.addresses: missing`},
		"two at once, other": {"broker: {partitions: 0}\n", `broker.partitions: too few`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, c.text, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestAProblemIsToldOnce(t *testing.T) {
	_, err := parse(t, "instance: x\n", nil)
	if n := strings.Count(err.Error(), "broker.addresses"); n != 1 {
		t.Errorf("told %d times:\n%v", n, err)
	}
}

func TestSecretComesFromAFileWithoutItsLineBreak(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("12:secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := parse(t, valid+"telegram: {token_file: "+path+", alerts: {chat: -1}}\n", nil)
	if err != nil || f.Telegram.Token.Reveal() != "12:secret" {
		t.Errorf("got %q, %v", f.Telegram.Token.Reveal(), err)
	}
}

// TestSecretThatIsEmptyLeavesTheOther of its two keys what it says, in any order: as where one of two variables is set.
func TestSecretThatIsEmptyLeavesTheOther(t *testing.T) {
	for _, keys := range []string{"token: \"${NONE:-}\", token_file: doc.go", "token_file: doc.go, token: \"${NONE:-}\"", "token: a, token_file: \"\"", "token_file: \"\", token: a"} {
		f, err := parse(t, valid+"telegram: {"+keys+", alerts: {chat: -1}}\n", nil)
		if err != nil || f.Telegram.Token == "" {
			t.Errorf("%s: %q, %v", keys, f.Telegram.Token.Reveal(), err)
		}
	}
}

func TestSecretNeverPrintsItself(t *testing.T) {
	type holder struct{ Token Secret }
	h := holder{"12:hidden-token"}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", h.Token, "holder", h)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s %q", h, h, h, h.Token, h.Token), log.String()} {
		if strings.Contains(text, "hidden-token") {
			t.Errorf("printed: %s", text)
		}
	}
}

func TestMissingFileSaysHowToNameOne(t *testing.T) {
	err := Load(filepath.Join(t.TempDir(), "none.yaml"), &file{})
	if err == nil || !strings.Contains(err.Error(), "no such file") || !strings.Contains(err.Error(), "--config") {
		t.Errorf("got %v", err)
	}
}

func TestSizesAndSpansPrintAsTheyAreWritten(t *testing.T) {
	for text, want := range map[string]int64{"512": 512, "64KiB": 64 << 10, "8MiB": 8 << 20, "2GiB": 2 << 30, "0": 0} {
		var b Bytes
		if err := b.parse(text); err != nil || int64(b) != want {
			t.Errorf("%s is %d (%v)", text, b, err)
		}
		var back Bytes
		if err := back.parse(b.String()); err != nil || back != b {
			t.Errorf("%s prints as %s", text, b)
		}
	}
	for _, text := range []string{"", "-1", "8MB", "1.5GiB", "99999999999TiB"} {
		var b Bytes
		if err := b.parse(text); err == nil {
			t.Errorf("%q was read as %d", text, b)
		}
	}
	for text, want := range map[string]time.Duration{"7d": 7 * 24 * time.Hour, "90m": 90 * time.Minute, "500ms": 500 * time.Millisecond} {
		var d Duration
		if err := d.parse(text); err != nil || d.Std() != want {
			t.Errorf("%s is %s (%v)", text, d, err)
		}
	}
}

func TestNearestWord(t *testing.T) {
	known := []string{"required", "properties", "type", "enum"}
	for word, want := range map[string]string{"requird": "required", "propertis": "properties", "tpye": "type", "colour": "", "enm": "enum"} {
		if got := Nearest(word, known); got != want {
			t.Errorf("%s: got %q, want %q", word, got, want)
		}
	}
}

// TestAlertsAreRoutedByOwnerAndSeverity: what is nearer to the owner goes first, and the chat of all alerts is the last.
func TestAlertsAreRoutedByOwnerAndSeverity(t *testing.T) {
	c := Telegram{Alerts: Chat{ID: -1}, Critical: Chat{ID: -2, Thread: 7}, Owners: map[string]Owner{
		"payments": {Chat: Chat{ID: -3}, Critical: Chat{ID: -4}}, "web": {Chat: Chat{ID: -5}}, "night": {Critical: Chat{ID: -6}}, "nobody": {},
	}}
	for _, test := range []struct {
		owner    string
		critical bool
		want     []Chat
	}{
		{"payments", true, []Chat{{ID: -4}, {ID: -3}, {ID: -2, Thread: 7}, {ID: -1}}},
		{"payments", false, []Chat{{ID: -3}, {ID: -1}}},
		{"web", true, []Chat{{ID: -5}, {ID: -2, Thread: 7}, {ID: -1}}},
		{"night", true, []Chat{{ID: -6}, {ID: -2, Thread: 7}, {ID: -1}}},
		{"night", false, []Chat{{ID: -1}}},
		{"nobody", true, []Chat{{ID: -2, Thread: 7}, {ID: -1}}},
		{"", false, []Chat{{ID: -1}}},
	} {
		if got := c.AlertRoutes(test.owner, test.critical); !slices.Equal(got, test.want) {
			t.Errorf("%q, critical %v: %v, want %v", test.owner, test.critical, got, test.want)
		}
	}
	if got, want := c.AlertChats(), []Chat{{ID: -1}, {ID: -2, Thread: 7}, {ID: -6}, {ID: -4}, {ID: -3}, {ID: -5}}; !slices.Equal(got, want) {
		t.Errorf("all chats %v, want %v", got, want)
	}
}
