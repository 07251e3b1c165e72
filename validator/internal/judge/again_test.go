package judge_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"datawatch/pkg/broker"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
	"datawatch/validator/internal/schemas"
	"datawatch/validator/internal/wrongrows"
)

const (
	strict = `{"properties": {"total": {"type": "number"}}, "x-rules": [{"id": "not-negative", "rule": "self.total >= 0", "message": "Negative"},
		{"id": "small", "rule": "self.total < 100", "message": "Too much"}]}`
	lenient = `{"properties": {"total": {"type": "number"}}, "x-rules": [{"id": "not-negative", "rule": "self.total >= -10", "message": "Negative"}]}`
)

func TestChangedSchemaFileHasItsWrongRowsJudgedAgain(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		w := newWorld(t, addr)
		w.schema(strict)
		_, stop := w.start()
		w.publish(
			change(1, 1, event.Insert, "", `{"total": -5}`),
			change(2, 2, event.Insert, "", `{"total": -50}`),
			change(3, 3, event.Insert, "", `{"total": -5}`),
			change(4, 4, event.Insert, "", `{"total": 500}`),
			change(5, 5, event.Insert, "", `{"total": "x"}`),
			change(6, 6, event.Insert, "", `{"total": -1}`),
			change(7, 6, event.Update, `{"total": -1}`, `{"total": -70}`), // of two versions of a row, the newer one counts
		)
		w.expect(wrongKey(1, "not-negative"), wrongKey(2, "not-negative"), wrongKey(3, "not-negative"), wrongKey(4, "small"), wrongKey(5, "schema"), wrongKey(6, "not-negative"))
		before := w.violations()
		w.schema(lenient)
		w.expect(wrongKey(2, "not-negative"), wrongKey(5, "schema"), wrongKey(6, "not-negative"))
		sha := w.set.Load().For(stream).SHA256
		records, err := w.all(w.topics.Wrong)
		if err != nil {
			t.Fatal(err)
		}
		newest := map[string]event.Violation{}
		for _, r := range records {
			var v event.Violation
			if r.Value != nil {
				if err := json.Unmarshal(r.Value, &v); err != nil {
					t.Fatal(err)
				}
			}
			newest[string(r.Key)] = v
		}
		if v := newest[wrongKey(2, "not-negative")]; v.Schema.SHA256 != sha || v.Errors[0].Expected != ">= -10" {
			t.Errorf("the row stands by the old file: %+v", v)
		}
		if v := newest[wrongKey(6, "not-negative")]; v.EventID != "shop-db/00000007" {
			t.Errorf("judged by %s", v.EventID)
		}
		if after := w.violations(); after != before {
			t.Errorf("%d violations became %d: what is judged again isn't a violation again", before, after)
		}
		stop()

		w.schema(strict) // while no validator runs
		_, stop = w.start()
		w.eventually(func() error {
			if got := w.standsBy(wrongKey(2, "not-negative")); got != w.set.Load().For(stream).SHA256 {
				return fmt.Errorf("stands by %s", got)
			}
			return nil
		})
		// Rows that passed meanwhile are found by their next event.
		w.expect(wrongKey(2, "not-negative"), wrongKey(5, "schema"), wrongKey(6, "not-negative"))
		stop()

		// A file that is broken when the validator starts ends nothing; one that is removed does.
		file := filepath.Join(w.dir, "shop-db", "public.orders.json")
		if err := os.WriteFile(file, []byte(`{"requird": []}`), 0o644); err != nil {
			t.Fatal(err)
		}
		broken, err := schemas.Load(w.dir)
		if err != nil || !broken.Broken(stream) {
			t.Fatal(err, broken.Problems())
		}
		w.set.Store(broken)
		w.start()
		w.publish(change(8, 9, event.Insert, "", `{"total": 1}`))
		w.tallied(0, 7, 1)
		w.expect(wrongKey(2, "not-negative"), wrongKey(5, "schema"), wrongKey(6, "not-negative"))
		w.schema("")
		w.expect()
	})
}

// violations counts them.
func (w *world) violations() int {
	w.t.Helper()
	records, err := w.all(w.topics.Violations)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(records)
}

// standsBy is the SHA-256 of the file by which a row stands.
func (w *world) standsBy(key string) string {
	w.t.Helper()
	records, err := w.all(w.topics.Wrong)
	if err != nil {
		w.t.Fatal(err)
	}
	sha := ""
	for _, r := range records {
		var v event.Violation
		if string(r.Key) == key && json.Unmarshal(r.Value, &v) == nil {
			sha = v.Schema.SHA256
		}
	}
	return sha
}

// TestSharedFileThatChangedWhileNoValidatorRanHasRowsJudgedAgain: the file of the stream is as it was, what it refers to isn't.
func TestSharedFileThatChangedWhileNoValidatorRanHasRowsJudgedAgain(t *testing.T) {
	w := newWorld(t, testrig.Embedded(t))
	shared := filepath.Join(w.dir, "_common", "amount.json")
	amount := func(text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(shared), 0o755), os.WriteFile(shared, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	const file = `{"properties": {"total": {"$ref": "../_common/amount.json"}}}`
	amount(`{"type": "number", "minimum": 0}`)
	w.schema(file)
	_, stop := w.start()
	w.publish(change(1, 1, event.Insert, "", `{"total": -5}`), change(2, 2, event.Insert, "", `{"total": -50}`))
	w.expect(wrongKey(1, "schema"), wrongKey(2, "schema"))
	stop()
	before := w.set.Load().For(stream)
	amount(`{"type": "number", "minimum": -10}`)
	w.schema(file)
	if now := w.set.Load().For(stream); now.SHA256 != before.SHA256 || now.Version() == before.Version() {
		t.Fatalf("versions %s and %s", before.Version(), now.Version())
	}
	w.start()
	w.expect(wrongKey(2, "schema"))
}

func TestRowsThatCleanNoLongerHoldsAreToldAndStand(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		w := newWorld(t, addr)
		w.schema(strict)
		registry, _ := w.start()
		w.publish(change(1, 1, event.Insert, "", `{"total": -5}`), change(2, 2, event.Insert, "", `{"total": 500}`))
		w.expect(wrongKey(1, "not-negative"), wrongKey(2, "small"))
		w.forget(w.topics.Clean)
		w.schema(lenient)
		total := 0
		for total < 2 {
			select {
			case s := <-w.stuck:
				total += s.Rows
			case <-time.After(2 * time.Minute):
				t.Fatalf("told of %d rows", total)
			}
		}
		w.expect(wrongKey(1, "not-negative")) // of a rule that is no more, nothing stands
		w.eventually(func() error {
			n := testutil.ToFloat64(counterOf{registry, "datawatch_validator_wrong_rows_not_judged_again_total"})
			if n != 2 {
				return fmt.Errorf("counted %v", n)
			}
			return nil
		})
	})
}

// TestRowThatWasJudgedIsNotSaidToBeGone: a file that asks for more breaks the structure of rows, and what rules found of them stands
// on; clean holds their events all the same.
func TestRowThatWasJudgedIsNotSaidToBeGone(t *testing.T) {
	w := newWorld(t, testrig.Embedded(t))
	w.schema(strict)
	registry, _ := w.start()
	w.publish(change(1, 1, event.Insert, "", `{"total": -5}`))
	w.expect(wrongKey(1, "not-negative"))
	w.forget(w.topics.Clean)
	w.publish(change(2, 2, event.Insert, "", `{"total": -6}`))
	w.expect(wrongKey(1, "not-negative"), wrongKey(2, "not-negative"))
	w.schema(`{"required": ["customer"], ` + strict[1:])
	select {
	case s := <-w.stuck:
		if s.Rows != 2 || s.Broken != 1 || s.Gone() != 1 {
			t.Errorf("%+v", s)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("nothing was told")
	}
	w.expect(wrongKey(1, "not-negative"), wrongKey(2, "not-negative"), wrongKey(2, "schema"))
	w.eventually(func() error {
		if n := testutil.ToFloat64(counterOf{registry, "datawatch_validator_wrong_rows_not_judged_again_total"}); n != 1 {
			return fmt.Errorf("counted %v", n)
		}
		return nil
	})
}

// forget empties a topic, as retention does.
func (w *world) forget(topic string) {
	w.t.Helper()
	s, err := broker.ClientConfig(w.config.Cluster, "test")
	if err != nil {
		w.t.Fatal(err)
	}
	admin, err := sarama.NewClusterAdmin(w.config.Addresses, s)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	offsets := map[int32]int64{}
	partitions, err := w.scanner.Partitions(topic)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range partitions {
		if offsets[p], err = w.scanner.End(topic, p); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := admin.DeleteRecords(topic, offsets); err != nil {
		w.t.Fatal(err)
	}
}

func TestTruncateEndsTheRowsOfAllPartitionsAndNoneThatCameLater(t *testing.T) {
	testrig.EachBroker(t, func(t *testing.T, addr string) {
		w := newWorld(t, addr)
		w.start()
		w.start()
		var events []*event.Clean
		for key := range 40 {
			events = append(events, change(10+key, key, event.Insert, "", `{"total": -1}`))
		}
		w.publish(events...)
		var all []string
		for key := range 40 {
			all = append(all, wrongKey(key, "not-negative"))
		}
		w.expect(all...)
		truncate := change(100, 0, event.Truncate, "", "")
		truncate.Change.Key = nil
		// One row is wrong again after it, and another event that took place before it comes late.
		w.publish(change(101, 3, event.Insert, "", `{"total": -3}`), truncate, change(99, 50, event.Insert, "", `{"total": -4}`))
		w.expect(wrongKey(3, "not-negative"))
		w.publish(change(102, 3, event.Delete, `{"total": -3}`, ""))
		w.expect()
	})
}

func TestMovedKeyEndsWhatStoodByTheOldOne(t *testing.T) {
	w := newWorld(t, testrig.Embedded(t))
	w.start()
	w.publish(change(1, 1, event.Insert, "", `{"total": -1}`))
	w.expect(wrongKey(1, "not-negative"))
	gone, came := change(2, 1, event.Delete, `{"total": -1}`, ""), change(3, 2, event.Insert, "", `{"total": -1}`)
	gone.Change.MovedTo, came.Change.MovedFrom = came.Change.Key, gone.Change.Key
	w.publish(gone, came)
	w.expect(wrongKey(2, "not-negative"))
	if _, _, _, err := wrongrows.ParseKey([]byte(wrongKey(2, "not-negative"))); err != nil {
		t.Error(err)
	}
}
