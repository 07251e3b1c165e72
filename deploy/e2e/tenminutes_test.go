package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datawatch/deploy/shop"
	"datawatch/deploy/telegramsim"
	"datawatch/pkg/event"
	"datawatch/pkg/testrig"
)

const orders = "shop-db/public.orders"

// TestTopicWithoutASchemaIsWatchedInTenMinutes goes the way of somebody who has traffic and no schema, on the shop's own
// traffic: infer, a rule by hand, lint, replay, the file dropped into the folder, and a row that breaks the rule alerts. On
// the way the chat is asked the same: a schema from traffic, and what the edited file would have said.
func TestTopicWithoutASchemaIsWatchedInTenMinutes(t *testing.T) {
	w := newWorld(t, testrig.Embedded(t), telegramsim.Limits{})
	if err := errors.Join(os.RemoveAll(w.Schemas), os.Mkdir(w.Schemas, 0o755)); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.trade(60)

	draft := filepath.Join(w.folder, "draft")
	file := filepath.Join(draft, "shop-db", "public.orders.json")
	w.validator(0, "infer", "--stream", orders, "--out", file)
	if out := w.validator(0, "replay", draft, "--stream", orders); !strings.HasPrefix(out, "0 of ") {
		t.Errorf("what was inferred, replayed on what it was inferred from: %s", out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const rule = `"x-rules": [
    {"id": "adds-up", "rule": "self.total == sum(self.items.map(i, i.price * i.quantity))", "message": "The order doesn't add up"}
  ],
  "type": "object",
  "required"`
	edited := bytes.Replace(text, []byte("\"type\": \"object\",\n  \"required\""), []byte(rule), 1)
	if bytes.Equal(edited, text) {
		t.Fatalf("the rule has no place in\n%s", text)
	}
	if err := os.WriteFile(file, edited, 0o600); err != nil {
		t.Fatal(err)
	}
	w.validator(0, "lint", "--strict", draft)
	if out := w.validator(0, "replay", draft, "--against", w.Schemas, "--stream", orders); !strings.Contains(out, "0 of ") || !strings.Contains(out, "would newly fail") {
		t.Errorf("the edited file against the folder: %s", out)
	}
	w.asksTheChat(edited)

	if err := os.CopyFS(w.Schemas, os.DirFS(draft)); err != nil {
		t.Fatal(err)
	}
	w.awaitLoaded()
	connection, err := pgx.Connect(t.Context(), w.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close(t.Context()) })
	if _, err := connection.Exec(t.Context(), `UPDATE orders SET total = total + 1 WHERE id = (SELECT min(id) FROM orders)`); err != nil {
		t.Fatal(err)
	}
	w.message(alertsChat, "The order doesn't add up")
	if out := w.validator(0, "explain", orders); !strings.Contains(out, "is judged by shop-db/public.orders.json") || !strings.Contains(out, "1 would fail") {
		t.Errorf("explained: %s", out)
	}
}

// trade has the shop trade without mistakes until that many changes of orders have come through.
func (w *world) trade(changes int) {
	w.t.Helper()
	ctx, close := context.WithCancel(w.t.Context())
	defer close()
	s, err := shop.Open(ctx, shop.Options{DSN: w.DSN, Kafka: []string{w.Company}, Pace: 5 * time.Millisecond, Seed: 8})
	if err != nil {
		w.t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- s.Run(ctx) }()
	testrig.Eventually(w.t, time.Minute, func() error {
		events, err := w.clean()
		if err != nil {
			return err
		}
		n := 0
		for _, e := range events {
			if e.Stream == event.Stream(orders) {
				n++
			}
		}
		if n < changes {
			return fmt.Errorf("%d changes of orders came through, want %d", n, changes)
		}
		return nil
	})
	close()
	if err := <-closed; err != nil && !errors.Is(err, context.Canceled) {
		w.t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// validator runs one of the validator's commands, and gives what it prints.
func (w *world) validator(want int, args ...string) string {
	w.t.Helper()
	var out, errs bytes.Buffer
	command := exec.CommandContext(w.t.Context(), w.programs["validator"], append(args, "--config", w.config)...)
	command.Stdout, command.Stderr = &out, &errs
	err := command.Run()
	if command.ProcessState == nil || command.ProcessState.ExitCode() != want {
		w.t.Fatalf("validator %v: %v\n%s%s", args, err, out.String(), errs.String())
	}
	return out.String()
}

// asksTheChat asks what the command line was asked.
func (w *world) asksTheChat(edited []byte) {
	w.t.Helper()
	for _, written := range []telegramsim.Written{
		{Text: "/schema payments"}, {Text: "/schema orders", File: &telegramsim.Sent{Name: "orders.json", Content: edited}},
	} {
		if _, err := w.sim.Type(alertsChat, written); err != nil {
			w.t.Fatal(err)
		}
	}
	answer := w.message(alertsChat, "learned from ")
	if answer.Document == nil || answer.Document.Name != "public.payments.json" {
		w.t.Fatalf("/schema payments is answered with %+v", answer)
	}
	if content := w.sim.Content(*answer.Document); !bytes.Contains(content, []byte(`"method"`)) {
		w.t.Errorf("the schema of payments is\n%s", content)
	}
	if answer := w.message(alertsChat, "lint finds nothing"); !strings.Contains(answer.Text, "None of ") {
		w.t.Errorf("the file is answered with\n%s", answer.Text)
	}
	if entries, err := os.ReadDir(w.Schemas); err != nil || len(entries) > 0 {
		w.t.Errorf("the folder has %v, %v", entries, err)
	}
}

// awaitLoaded waits until the validator judges by the file.
func (w *world) awaitLoaded() {
	w.t.Helper()
	testrig.Eventually(w.t, 30*time.Second, func() error {
		if !strings.Contains(string(w.metrics()), `datawatch_validator_schema_files{state="loaded"} 1`) {
			return errors.New("the file isn't loaded")
		}
		return nil
	})
}
