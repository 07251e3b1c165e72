package preprocessor_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"datawatch/pkg/broker"
	"datawatch/pkg/daemon"
	"datawatch/pkg/testrig"

	"datawatch/preprocessor"
)

func yamlOf(c preprocessor.Config) string {
	return fmt.Sprintf("broker: {addresses: [%q], topic_prefix: %s, partitions: %d, max_record_bytes: %s}\n",
		strings.Join(c.Broker.Addresses, `", "`), c.Broker.TopicPrefix, c.Broker.Partitions, c.Broker.MaxRecordBytes)
}

// poisonRow is a row whose shape is wrong, in the place of a later repair: it is a dead letter.
func poisonRow(topics broker.Topics, tick int64) broker.Record {
	r := row(topics, tick, 7, "x")
	r.Value = bytes.Replace(r.Value, fmt.Appendf(nil, `"seq":%d`, tick), []byte(`"seq":"many"`), 1)
	return r
}

func TestDeadLettersAreListedAndShownByFilter(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c, topics := settings(t, addr)
		stranger := broker.Record{Topic: topics.Raw, Key: []byte("who"), Value: []byte("\x1b[2J")}
		publish(t, publisher(t, c), poisonRow(topics, 1), poisonRow(topics, 2), stranger)
		start(t, c)
		await(t, c, topics.DeadLetter, 3)
		for name, test := range map[string]struct {
			args []string
			n    int
		}{
			"all":    {nil, 3},
			"class":  {[]string{"--class", "type"}, 2},
			"stream": {[]string{"--stream", "shop-db/public.*"}, 2},
			"id":     {[]string{"--id", "shop-db/20261122T101500Z.000000000002.000000000"}, 1},
			"since":  {[]string{"--since", "1h"}, 3},
			"later":  {[]string{"--since", time.Now().Add(time.Hour).Format(time.RFC3339)}, 0},
		} {
			t.Run(name, func(t *testing.T) {
				code, stdout, stderr := execute(t, yamlOf(c), append([]string{"deadletters", "list", "--output", "json"}, test.args...)...)
				if n := strings.Count(stdout, "\n"); code != daemon.ExitOK || n != test.n {
					t.Fatalf("exit %d, %d letters, not %d: %s%s", code, n, test.n, stdout, stderr)
				}
				for line := range strings.Lines(stdout) {
					var letter struct{ Class, Reason, Origin string }
					if err := json.Unmarshal([]byte(line), &letter); err != nil || letter.Class == "" || letter.Reason == "" || !strings.HasPrefix(letter.Origin, topics.Raw+"/") {
						t.Errorf("%s: %v", line, err)
					}
				}
			})
		}
		code, stdout, stderr := execute(t, yamlOf(c), "deadletters", "show")
		for _, want := range []string{`"seq":"many"`, "reason  ", "header  ce_id: shop-db/", `value   "\x1b[2J"`} {
			if code != daemon.ExitOK || !strings.Contains(stdout, want) {
				t.Errorf("exit %d, no %q in %s%s", code, want, stdout, stderr)
			}
		}
		if strings.Contains(stdout, "\x1b") {
			t.Error("a record's bytes reach the terminal")
		}
	})
}

func TestAClassOfLettersThatThereIsNotIsRefused(t *testing.T) {
	for _, command := range []string{"list", "show", "replay"} {
		code, stdout, stderr := execute(t, "broker: {addresses: [\"127.0.0.1:1\"]}\n", "deadletters", command, "--class", "typ")
		if want := `--class: "typ" is none (filter, internal, key, limit, malformed, schema_unavailable, too_large, type, unreadable, unsupported)`; code != daemon.ExitConfig || strings.TrimSpace(stderr) != want {
			t.Errorf("%s: exit code %d: %s%s", command, code, stdout, stderr)
		}
	}
}

// TestLettersAreNotAskedForLongOfASilentBroker holds the place to look at, too.
func TestLettersAreNotAskedForLongOfASilentBroker(t *testing.T) {
	yaml := fmt.Sprintf("broker: {addresses: [%q]}\n", testrig.Silent(t)["mute"])
	var running sync.WaitGroup
	defer running.Wait()
	for _, command := range []string{"list", "show", "replay"} {
		running.Go(func() {
			code, stdout, stderr := execute(t, yaml, "deadletters", command)
			if code != daemon.ExitFailed || !strings.Contains(stderr, "has not answered for 10s (see broker.addresses, ") {
				t.Errorf("%s: exit %d: %s%s", command, code, stdout, stderr)
			}
		})
	}
}

// The letter is of a row that this preprocessor takes: one that an older one refused.
func TestLetterSentAgainTwiceComesOutOfCleanOnce(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		c, topics := settings(t, addr)
		p := publisher(t, c)
		good := row(topics, 1, 7, "was refused")
		letter := good
		letter.Topic = topics.DeadLetter
		for _, h := range [][2]string{{"datawatch_error_stage", "preprocessor"}, {"datawatch_error_class", "unsupported"}, {"datawatch_error_reason", "too new"},
			{"datawatch_error_time", "2026-11-22T10:15:00Z"}, {"datawatch_origin_topic", topics.Raw}, {"datawatch_origin_partition", "0"}, {"datawatch_origin_offset", "0"}} {
			letter.Headers = append(letter.Headers, headerOf(h[0], h[1]))
		}
		publish(t, p, letter, row(topics, 2, 7, "later"))
		i := start(t, c)
		await(t, c, topics.Clean, 1)

		replay := func(args ...string) string {
			t.Helper()
			code, stdout, stderr := execute(t, yamlOf(c), append([]string{"deadletters", "replay", "--stream", "shop-db/public.orders"}, args...)...)
			if code != daemon.ExitOK {
				t.Fatalf("exit %d: %s%s", code, stdout, stderr)
			}
			return stdout
		}
		if out := replay("--dry-run"); !strings.HasPrefix(out, "would be sent  shop-db/") {
			t.Errorf("dry run says %q", out)
		}
		if raw, err := committed(t.Context(), c, topics.Raw); err != nil || len(raw) != 1 {
			t.Fatalf("a dry run has written: %d records, %v", len(raw), err)
		}
		replay()
		replay()
		await(t, c, topics.Clean, 2)
		i.stop(t)
		replay()
		start(t, c) // what was replayed is known across a restart
		publish(t, p, row(topics, 3, 7, "last"))
		clean := await(t, c, topics.Clean, 3)
		if len(clean) != 3 || !strings.Contains(string(clean[1].Value), "was refused") ||
			!strings.Contains(string(clean[1].Value), `"position":"20261122T101500Z.000000000001.000000000"`) || !strings.Contains(string(clean[2].Value), "last") {
			t.Errorf("clean holds %d events: %+v", len(clean), clean)
		}
		for _, r := range await(t, c, topics.Raw, 5) {
			if header(r, "datawatch_replayed") == "" {
				continue
			}
			if !bytes.Equal(r.Key, good.Key) || !bytes.Equal(r.Value, good.Value) || len(r.Headers) != len(good.Headers)+1 {
				t.Errorf("sent again as %q %q with %d headers", r.Key, r.Value, len(r.Headers))
			}
		}
		if letters, err := committed(t.Context(), c, topics.DeadLetter); err != nil || len(letters) != 1 {
			t.Errorf("%d dead letters, %v", len(letters), err)
		}
	})
}

func TestReplayRefusesWhatItMustNotSend(t *testing.T) {
	c, topics := settings(t, testrig.Embedded(t))
	publish(t, publisher(t, c), broker.Record{Topic: topics.Raw, Key: []byte("who"), Value: []byte("x")})
	start(t, c)
	await(t, c, topics.DeadLetter, 1)
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"nothing chosen": {nil, daemon.ExitFailed, "nothing chosen"},
		"a stranger":     {[]string{"--all"}, daemon.ExitFailed, "1 of 1 letters can't be sent again"},
		"a bad glob":     {[]string{"--stream", "[a"}, daemon.ExitConfig, "--stream: \"[a\" is not a glob"},
		"a bad time":     {[]string{"--since", "yesterday"}, daemon.ExitConfig, "--since: \"yesterday\" is neither"},
		"a bad output":   {[]string{"--all", "--output", "xml"}, daemon.ExitConfig, "--output: \"xml\" is not allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := execute(t, yamlOf(c), append([]string{"deadletters", "replay"}, test.args...)...)
			if code != test.code || !strings.Contains(stderr, test.says) {
				t.Errorf("exit %d, want %d: %s%s", code, test.code, stdout, stderr)
			}
		})
	}
}

func TestAskingForLettersThatAreGoneIsSaid(t *testing.T) {
	c, topics := settings(t, testrig.Kafka(t))
	letter := broker.Record{Topic: topics.DeadLetter, Key: []byte("who"), Value: []byte("x")}
	publish(t, publisher(t, c), letter, letter)
	all := await(t, c, topics.DeadLetter, 2) // a broker may answer a commit before readers see it
	list := func() (int, string, string) {
		return execute(t, yamlOf(c), "deadletters", "list", "--since", "48h", "--output", "json")
	}
	if code, stdout, stderr := list(); code != daemon.ExitOK || strings.Count(stdout, "\n") != 2 || stderr != "" {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	s, err := broker.ClientConfig(c.Broker.Cluster, "test")
	if err != nil {
		t.Fatal(err)
	}
	admin, err := sarama.NewClusterAdmin(c.Broker.Addresses, s)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	if err := admin.DeleteRecords(topics.DeadLetter, map[int32]int64{all[0].Partition: 1}); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := list(); code != daemon.ExitTooFar || strings.Count(stdout, "\n") != 1 || !strings.Contains(stderr, "are gone") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}
