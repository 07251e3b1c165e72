package validator_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
	"datawatch/pkg/daemon"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/validator"
	"datawatch/validator/internal/wrongrows"
)

var update = flag.Bool("update", false, "write the golden files")

// execute runs a command line.
func execute(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = daemon.Execute(validator.Service(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// TestHelpOutputAndErrorsOfCommands holds what people read: testdata/commands/<name>.golden.
func TestHelpOutputAndErrorsOfCommands(t *testing.T) {
	dir := "testdata/schemas"
	configured := filepath.Join(t.TempDir(), "datawatch.yaml")
	writeFile(t, configured, "broker: {addresses: [\"127.0.0.1:1\"]}\nvalidator: {schemas: testdata/schemas}\n")
	for name, args := range map[string][]string{
		"lint-help": {"lint", "--help"}, "test-help": {"test", "--help"}, "explain-help": {"explain", "--help"},
		"replay-help": {"replay", "--help"}, "infer-help": {"infer", "--help"}, "wrong-help": {"wrong", "--help"},
		"accept-help": {"accept", "--help"}, "accept-nothing": {"accept"}, "accept-past": {"accept", "--group", "k3f9a1", "--reason", "known", "--until", "2020-01-01"},
		"lint": {"lint", dir}, "lint-github": {"lint", dir, "--output", "github"}, "lint-strict": {"lint", "--strict", dir},
		"lint-nothing": {"lint"}, "lint-two": {"lint", "a", "b"}, "lint-output": {"lint", dir, "--output", "jsn"}, "lint-folder": {"lint", "testdata/none"},
		"test": {"test", dir}, "test-json": {"test", dir, "--output", "json"}, "test-file": {"test", dir, dir + "/_tests/shop-db/public.orders/valid/paid.json"},
		"test-elsewhere": {"test", dir, "go.mod"}, "test-nothing": {"test"},
		"explain":        {"explain", "shop-db/public.orders", "--offline", "--config", configured},
		"explain-json":   {"explain", "shop-db/public.orders", "--offline", "--schemas", dir, "-o", "json"},
		"explain-none":   {"explain", "shop-mongo/shop.carts", "--offline", "--schemas", dir},
		"explain-stream": {"explain", "orders"},
		"replay-both":    {"replay", "--last", "5", "--since", "2h"}, "replay-since": {"replay", "--since", "yesterday"}, "replay-last": {"replay", "--last", "0"},
		"replay-config": {"replay", "--config", "testdata/none.yaml"}, "infer-stream": {"infer"},
		"infer-update": {"infer", "--stream", "shop-db/public.orders", "--update", "a.json", "--out", "b.json"}, "infer-none": {"infer", "--stream", "shop-db/public.orders", "--update", "testdata/none.json"},
		"wrong-output": {"wrong", "--output", "cvs"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := execute(args...)
			line := strings.ReplaceAll(strings.Join(args, " "), configured, "datawatch.yaml")
			got := fmt.Sprintf("$ validator %s\n-- exit %d\n-- stdout\n%s-- stderr\n%s", line, code, out, errs)
			path := filepath.Join("testdata", "commands", name+".golden")
			if *update {
				writeFile(t, path, got)
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s\nwant:\n%s", got, want)
			}
		})
	}
}

func TestJUnitReportIsWrittenWhereItIsAskedFor(t *testing.T) {
	report := filepath.Join(t.TempDir(), "report.xml")
	if code, _, errs := execute("test", "testdata/schemas", "--junit", report); code != daemon.ExitFailed {
		t.Fatal(code, errs)
	}
	text, err := os.ReadFile(report)
	if err != nil || !bytes.Contains(text, []byte(`<testsuite name="shop-db/public.orders"`)) {
		t.Errorf("%s %v", text, err)
	}
}

// traffic is a broker with clean events, and the configuration of who reads them.
type traffic struct {
	t      testing.TB
	broker config.Broker
	config string
	topics broker.Topics
}

const orders = event.Stream("shop-db/public.orders")

func newTraffic(t testing.TB, addr string) *traffic {
	t.Helper()
	c := config.DefaultShared().Broker
	c.Addresses, c.TopicPrefix, c.Partitions = []string{addr}, testrig.Prefix(t), 3
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := broker.EnsureTopics(ctx, c, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	w := &traffic{t: t, broker: c, config: filepath.Join(t.TempDir(), "datawatch.yaml"), topics: broker.TopicsOf(c.TopicPrefix)}
	writeFile(t, w.config, fmt.Sprintf("broker: {addresses: [%q], topic_prefix: %s, partitions: 3}\nvalidator: {schemas: %s}\n", addr, c.TopicPrefix, t.TempDir()))
	return w
}

func (w *traffic) publish(records ...broker.Record) {
	w.t.Helper()
	p, err := broker.OpenPublisher(w.t.Context(), w.broker, w.broker.TopicPrefix+"-test")
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if err := p.Publish(w.t.Context(), records); err != nil {
		w.t.Fatal(err)
	}
}

func (w *traffic) clean(e *event.Clean) broker.Record {
	return broker.Record{Topic: w.topics.Clean, Key: e.RecordKey(), Value: e.AppendJSON(nil)}
}

// order is an event of orders; of every tenth the status is lost, and every twentieth is an update without a before.
func order(n int) *event.Clean {
	status := "paid"
	if n%10 == 0 {
		status = "lost"
	}
	change := &event.Change{
		Op: event.Insert, Key: json.RawMessage(fmt.Sprintf(`{"id":%d}`, n)), Origin: event.Origin{Kind: event.Postgres},
		After: json.RawMessage(fmt.Sprintf(`{"id":%d,"status":%q,"customer":"Nguyen Van %d","total":%d.50}`, n, status, n, n%7)),
	}
	if n%20 == 1 {
		change.Op, change.Incomplete = event.Update, &event.Incomplete{Before: "unavailable"}
	}
	return &event.Clean{ID: fmt.Sprintf("shop-db/%06d", n), Stream: orders, Type: event.ChangeType, Time: time.Now().UTC().Format(time.RFC3339Nano), Change: change}
}

func (w *traffic) run(want int, args ...string) (stdout, stderr string) {
	w.t.Helper()
	code, out, errs := execute(append(args, "--config", w.config)...)
	if code != want {
		w.t.Fatalf("%v: exit %d, want %d\n%s\n%s", args, code, want, out, errs)
	}
	return out, errs
}

type report struct {
	Events, Failing, Unchecked int
	Compared                   *struct {
		NewlyFailing int `json:"newly_failing"`
		NewlyPassing int `json:"newly_passing"`
	}
	Streams []struct {
		Stream     string
		Failing    int
		Unrunnable map[string]int
		Rules      []struct {
			Rule    string
			Failing int
			Samples []struct{ Row json.RawMessage }
		}
	}
}

func (w *traffic) replay(args ...string) (r report) {
	w.t.Helper()
	out, _ := w.run(daemon.ExitOK, append(append([]string{"replay"}, args...), "--output", "json")...)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		w.t.Fatal(err, out)
	}
	return r
}

// TestCommandsDontWaitLongForASilentBroker holds the place to look at, too.
func TestCommandsDontWaitLongForASilentBroker(t *testing.T) {
	configured := filepath.Join(t.TempDir(), "datawatch.yaml")
	writeFile(t, configured, fmt.Sprintf("broker: {addresses: [%q]}\nvalidator: {schemas: testdata/schemas}\n", testrig.Silent(t)["mute"]))
	var running sync.WaitGroup
	defer running.Wait()
	for _, command := range []string{"wrong", "replay", "infer --stream shop-db/public.orders", "explain shop-db/public.orders", "accept --group k3f9a1 --reason known --until 30d"} {
		running.Go(func() {
			code, stdout, stderr := execute(append(strings.Fields(command), "--config", configured)...)
			if code != daemon.ExitFailed || !strings.Contains(stderr, "has not answered for 10s (see broker.addresses, ") {
				t.Errorf("%s: exit %d: %s%s", command, code, stdout, stderr)
			}
		})
	}
}

// TestPastTrafficBecomesASchemaAndIsReplayedByIt goes the way of somebody who has a topic and no schema yet.
func TestPastTrafficBecomesASchemaAndIsReplayedByIt(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		w := newTraffic(t, addr)
		_, errs := w.run(daemon.ExitTooFar, "replay", "--last", "1")
		if !strings.Contains(errs, "clean holds no events") {
			t.Error(errs)
		}
		const n = 600
		for _, part := range [][2]int{{0, 200}, {200, 500}, {500, n}} {
			var records []broker.Record
			for i := part[0]; i < part[1]; i++ {
				records = append(records, w.clean(order(i)))
				if i%3 == 0 {
					other := order(i)
					other.Stream = "shop-db/public.carts"
					records = append(records, w.clean(other))
				}
			}
			w.publish(records...)
		}
		inferred := t.TempDir()
		file := filepath.Join(inferred, "shop-db", "public.orders.json")
		w.run(daemon.ExitOK, "infer", "--stream", string(orders), "--out", file)
		if _, errs := w.run(daemon.ExitFailed, "infer", "--stream", string(orders), "--out", file); !strings.Contains(errs, "exists already") {
			t.Error(errs)
		}
		if r := w.replay(inferred, "--last", fmt.Sprint(n), "--stream", string(orders)); r.Events != n || r.Failing != 0 || r.Unchecked != 0 {
			t.Errorf("replay of what was inferred: %+v", r)
		}
		_, errs = w.run(daemon.ExitTooFar, "replay", inferred, "--since", "1h")
		held := errs[strings.LastIndex(errs, " ")+1:] // what it says it holds can be asked for
		if r := w.replay(inferred, "--since", strings.TrimSpace(held)); r.Events != n+n/3 || r.Failing != 0 || r.Unchecked != n/3 {
			t.Errorf("replay since: %+v", r)
		}
		w.compares(inferred)
		w.updates(file)
		for _, args := range [][]string{{"--last", "601", "--stream", string(orders)}, {"--since", "2000-01-01"}, {"--last", "1000000"}} {
			if out, errs := w.run(daemon.ExitTooFar, append([]string{"replay", inferred}, args...)...); out != "" || !strings.Contains(errs, "clean holds events since") {
				t.Errorf("%v: %q %q", args, out, errs)
			}
		}
	})
}

// compares edits the folder's schema as a person would and asks what that changes.
func (w *traffic) compares(before string) {
	t := w.t
	t.Helper()
	edited := t.TempDir()
	writeFile(t, filepath.Join(edited, "shop-db", "public.orders.json"), `{"x-pii": ["/customer"], "properties": {"status": {"enum": ["new", "paid"]}},
		"x-rules": [{"id": "stays", "rule": "old.status == self.status", "message": "Status changed"}]}`)
	r := w.replay(edited, "--against", before, "--last", "100", "--stream", string(orders))
	if r.Events != 100 || r.Failing != 10 || r.Compared == nil || r.Compared.NewlyFailing != 10 || r.Compared.NewlyPassing != 0 {
		t.Fatalf("compared: %+v", r)
	}
	s := r.Streams[0]
	if len(s.Rules) != 1 || s.Rules[0].Rule != "schema" || s.Rules[0].Failing != 10 || len(s.Rules[0].Samples) != 3 || s.Unrunnable["stays"] != 5 {
		t.Errorf("by rule: %+v", s)
	}
	for _, sample := range s.Rules[0].Samples {
		if bytes.Contains(sample.Row, []byte("Nguyen")) {
			t.Errorf("a sample isn't masked: %s", sample.Row)
		}
	}
	if out, _ := w.run(daemon.ExitOK, "replay", edited, "--against", before, "--last", "100", "--stream", string(orders)); !strings.Contains(out, "10 of 100 events would newly fail") {
		t.Error(out)
	}
	w.publish(broker.Record{Topic: w.topics.State, Key: []byte("tally/0/" + string(orders)), Value: []byte(`{"version":1,"valid":900,"invalid":60,"unvalidated":40}`)})
	out, _ := w.run(daemon.ExitOK, "explain", string(orders), "--schemas", edited)
	for _, line := range []string{"is judged by shop-db/public.orders.json", "can't run: it names old, and 30 changes", "600 events read, 600 of them can be judged, 60 would fail", "the service judged 960 of it: 900 valid, 60 invalid; 40 not judged"} {
		if !strings.Contains(out, line) {
			t.Errorf("no %q in\n%s", line, out)
		}
	}
}

// updates has a file that was edited take up what is new.
func (w *traffic) updates(file string) {
	t := w.t
	t.Helper()
	const edited = `{
  "x-owner": "payments",
  "properties": {"id": {"type": "integer"}, "status": {"enum": ["paid"]}},
  "required": ["id"]
}
`
	writeFile(t, file, edited)
	diff, errs := w.run(daemon.ExitOK, "infer", "--stream", string(orders), "--update", file)
	if !strings.Contains(diff, `+  "properties": {"id": {"type": "integer"}, "status": {"enum": ["paid"]}, "customer": {"type": "string"}, "total": {"type": "number"}},`) {
		t.Errorf("the difference is\n%s", diff)
	}
	if !strings.Contains(errs, `/status: "lost" was seen, and enum doesn't have it`) {
		t.Errorf("told: %s", errs)
	}
	text, err := os.ReadFile(file)
	if err != nil || !bytes.HasPrefix(text, []byte("{\n  \"x-owner\": \"payments\",\n")) {
		t.Errorf("%v\n%s", err, text)
	}
	if out, errs := w.run(daemon.ExitOK, "infer", "--stream", string(orders), "--update", file); out != "" || !strings.Contains(errs, "nothing is new") {
		t.Errorf("a second time: %s%s", out, errs)
	}
	if r := w.replay(filepath.Dir(filepath.Dir(file)), "--last", "600", "--stream", string(orders)); r.Failing != 60 || r.Unchecked != 0 {
		t.Errorf("by the file with what is new: %+v", r)
	}
}

// wrongRow is what a program reads of the list.
type wrongRow struct {
	Transaction string
	Actor       *event.Actor
}

// TestRowsThatAreWrongNowAreListed holds that rows which were put right aren't.
func TestRowsThatAreWrongNowAreListed(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		w := newTraffic(t, addr)
		if out, _ := w.run(daemon.ExitOK, "wrong"); out != "no row is wrong\n" {
			t.Error(out)
		}
		wrong := func(n int, rule string, over bool) broker.Record {
			row := event.RecordKey(orders, fmt.Appendf(nil, `{"id":%d}`, n))
			r := broker.Record{Topic: w.topics.Wrong, Key: wrongrows.Key(row, rule), PartitionBy: row}
			e := event.ViolationError{Kind: event.RuleViolation, Rule: rule, Severity: event.Critical, InstanceLocation: "/total", Message: `Total, "wrong"`, Actual: "1", Expected: "2", Fingerprint: "group-" + rule}
			if rule == "schema" {
				e.Kind, e.Rule = event.SchemaError, ""
			}
			v := event.Violation{Version: 1, Stream: orders, Key: json.RawMessage(fmt.Sprintf(`{"id":%d}`, n)), EventTime: "2026-11-22T08:00:00Z", EventID: "shop-db/1", Severity: event.Critical, Errors: []event.ViolationError{e}}
			if transaction := "81422"; n != 1 {
				v.Transaction, v.Actor = &transaction, &event.Actor{Application: "order-service", User: "app", Client: "10.2.0.7"}
			}
			if !over {
				r.Value, _ = json.Marshal(v)
			}
			return r
		}
		w.publish(wrong(1, "adds-up", false), wrong(2, "adds-up", false), wrong(2, "schema", false), wrong(3, "adds-up", false))
		w.publish(wrong(3, "adds-up", true))
		for _, c := range []struct {
			args []string
			rows int
		}{
			{nil, 3}, {[]string{"--rule", "schema"}, 1}, {[]string{"--group", "group-adds-up"}, 2}, {[]string{"--stream", "shop-db/public.carts"}, 0},
		} {
			out, _ := w.run(daemon.ExitOK, append([]string{"wrong", "--output", "csv"}, c.args...)...)
			lines, err := csv.NewReader(strings.NewReader(out)).ReadAll()
			if err != nil || len(lines) != c.rows+1 {
				t.Errorf("%v: %v %v", c.args, lines, err)
			}
			out, _ = w.run(daemon.ExitOK, append([]string{"wrong", "--output", "json"}, c.args...)...)
			var rows []struct{ Key json.RawMessage }
			if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != c.rows || rows == nil {
				t.Errorf("%v: %s %v", c.args, out, err)
			}
		}
		if out, _ := w.run(daemon.ExitOK, "wrong"); !strings.Contains(out, `{"id":2}`) || strings.Contains(out, `{"id":3}`) {
			t.Error(out)
		}
		// What a person repairs from: who did it, in which transaction, since when, and what was expected.
		out, _ := w.run(daemon.ExitOK, "wrong", "--output", "csv", "--group", "group-adds-up")
		lines := strings.Split(out, "\n")
		for i, line := range []string{
			"stream,key,transaction,actor,event_time,rule,severity,place,message,expected,actual,group,event_id,owner",
			`shop-db/public.orders,"{""id"":1}",,,2026-11-22T08:00:00Z,adds-up,critical,/total,"Total, ""wrong""",2,1,group-adds-up,shop-db/1,`,
			`shop-db/public.orders,"{""id"":2}",81422,order-service as app from 10.2.0.7,2026-11-22T08:00:00Z,adds-up,critical,/total,"Total, ""wrong""",2,1,group-adds-up,shop-db/1,`,
		} {
			if lines[i] != line {
				t.Errorf("line %d is\n%s\nwant\n%s", i, lines[i], line)
			}
		}
		out, _ = w.run(daemon.ExitOK, "wrong", "--output", "json", "--rule", "schema")
		var rows []wrongRow
		if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 1 || rows[0].Transaction != "81422" || rows[0].Actor == nil || rows[0].Actor.User != "app" {
			t.Errorf("%s %v", out, err)
		}
		out, _ = w.run(daemon.ExitOK, "wrong", "--group", "group-schema")
		for i, want := range []string{"stream key transaction actor event_time rule severity place message expected actual", `shop-db/public.orders {"id":2} 81422 order-service as app from 10.2.0.7 2026-11-22T08:00:00Z schema critical /total Total, "wrong" 2 1`} {
			if got := strings.Join(strings.Fields(strings.Split(out, "\n")[i]), " "); got != want {
				t.Errorf("the table's line %d is %q, want %q", i, got, want)
			}
		}
	})
}

// TestNoRowIsSaidToBeWrongByANameThatNothingHas: a slip of the pen isn't good news.
func TestNoRowIsSaidToBeWrongByANameThatNothingHas(t *testing.T) {
	w := newTraffic(t, testrig.Embedded(t))
	text, err := os.ReadFile(w.config)
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(text), "schemas: ")
	bare := w.config
	w.config = filepath.Join(t.TempDir(), "datawatch.yaml")
	writeFile(t, w.config, before+"schemas: testdata/suite}\n")
	row := event.RecordKey("shop-db/public.gone", []byte(`{"id":1}`))
	w.publish(broker.Record{Topic: w.topics.Wrong, Key: wrongrows.Key(row, "was-wrong"), PartitionBy: row})
	for _, c := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{nil, daemon.ExitOK, ""},
		{[]string{"--stream", "shop-db/orders.orders"}, daemon.ExitOK, ""},
		{[]string{"--stream", "shop-db/public.gone", "--rule", "was-wrong"}, daemon.ExitOK, ""},
		{[]string{"--rule", "schema"}, daemon.ExitOK, ""},
		{[]string{"--stream", "shop-db/orders.ordrs"}, daemon.ExitConfig, `validator wrong: no schema file in testdata/suite and no row that was wrong has the stream "shop-db/orders.ordrs" (did you mean shop-db/orders.orders?)`},
		{[]string{"--rule", "was-wrng"}, daemon.ExitConfig, "(did you mean was-wrong?)"},
		{[]string{"--group", "k3f9a1mmrtqz"}, daemon.ExitConfig, "validator wrong: no group k3f9a1mmrtqz is known"},
	} {
		for _, output := range []string{"table", "csv", "json"} {
			out, errs := w.run(c.code, append([]string{"wrong", "--output", output}, c.args...)...)
			if c.stderr == "" && errs != "" || !strings.Contains(errs, c.stderr) || (out == "") != (c.code != daemon.ExitOK) {
				t.Errorf("%v: %s%s", c.args, out, errs)
			}
		}
	}
	w.config = bare // without the files nobody can tell
	if out, errs := w.run(daemon.ExitOK, "wrong", "--rule", "was-wrng"); out != "no row is wrong\n" || !strings.Contains(errs, "was-wrong") {
		t.Error(out, errs)
	}
}

// TestRowsAreAcceptedByTheFileThatWrongWrites: the record that the keeper takes holds the keys, and a slip of the pen is found.
func TestRowsAreAcceptedByTheFileThatWrongWrites(t *testing.T) {
	w := newTraffic(t, testrig.Embedded(t))
	file := filepath.Join(t.TempDir(), "wrong.csv")
	writeFile(t, file, "stream,key,rule\nshop-db/public.orders,\"{\"\"id\"\": 2}\",adds-up\nshop-db/public.orders,\"{\"\"id\"\":1}\",adds-up\n")
	accept := []string{"accept", "--group", "k3f9a1", "--keys", file, "--until", "30d", "--reason", "import of 2019"}
	if _, errs := w.run(daemon.ExitFailed, accept...); !strings.Contains(errs, "no group k3f9a1 is known") {
		t.Error(errs)
	}
	w.publish(broker.Record{Topic: w.topics.State, Key: []byte("alert/k3f9a1"), Value: []byte(`{"version":1,"fingerprint":"k3f9a1"}`)})
	if out, _ := w.run(daemon.ExitOK, accept...); !strings.Contains(out, "k3f9a1 accepted until ") {
		t.Error(out)
	}
	scanner, err := broker.NewScanner(w.broker, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = scanner.Close() }()
	end, err := scanner.End(w.topics.Control, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Kind, Group, Reason string
		Keys                []string
		Until               time.Time
	}
	if err := scanner.Scan(t.Context(), w.topics.Control, 0, 0, end, func(r broker.Record) error { return json.Unmarshal(r.Value, &got) }); err != nil {
		t.Fatal(err)
	}
	if got.Kind != "accept" || got.Group != "k3f9a1" || got.Reason != "import of 2019" || fmt.Sprint(got.Keys) != `[{"id":1} {"id":2}]` || time.Until(got.Until) < 29*24*time.Hour {
		t.Errorf("accepted %+v", got)
	}
	for _, text := range []string{"", "not json\n", "null\n"} {
		writeFile(t, file, text)
		w.run(daemon.ExitFailed, accept...)
	}
}
