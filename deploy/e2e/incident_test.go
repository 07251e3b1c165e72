package e2e_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"datawatch/deploy/shop"
	"datawatch/deploy/telegramsim"
	"datawatch/pkg/testrig"
)

// TestAnIncidentIsOneMessageUntilItsRowsAreRight is what the demo shows: a job makes many rows wrong in one transaction; people
// hear of it once, see in the same message how many rows are wrong, and that all are right again when the job was taken back.
func TestAnIncidentIsOneMessageUntilItsRowsAreRight(t *testing.T) {
	w := newWorld(t, testrig.Embedded(t), telegramsim.Limits{})
	w.configure("  schemas:", "  alerts: {edit_every: 1s}\n  schemas:")
	s, err := shop.Open(t.Context(), shop.Options{DSN: w.DSN + "&application_name=order-service", Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	w.start()
	for range 20 {
		if err := s.Purchase(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	mend, err := s.Incident(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	alert := w.message(alertsChat, "rows wrong by one transaction")
	for _, text := range []string{"🔴", "shop.Job", "A wallet is below zero", "status", "currency"} {
		if !strings.Contains(alert.Text, strings.ReplaceAll(text, "shop.Job", shop.Job)) {
			t.Errorf("the alert doesn't say %q:\n%s", text, alert.Text)
		}
	}
	if alert.Silent {
		t.Error("the alert makes no sound")
	}
	w.message(alertsChat, "rows wrong now")
	w.assertWrongRows(8 + 8) // orders and wallets
	if err := mend(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	_, err = w.sim.Await(ctx, alertsChat, func(m telegramsim.Message) bool {
		return m.ID == alert.ID && strings.HasPrefix(m.Text, "🟢") && strings.Contains(m.Text, "mended: all 8 right again")
	})
	if err != nil {
		t.Fatalf("the message doesn't say that it is over: %v\n%s", err, texts(w.sim.Messages(alertsChat)))
	}
	w.assertWrongRows(0)
	if all := w.sim.Messages(alertsChat); len(all) != 1 {
		t.Errorf("people heard %d messages: %s", len(all), texts(all))
	}
}

// configure changes the services' configuration before they start.
func (w *world) configure(from, to string) {
	w.t.Helper()
	text, err := os.ReadFile(w.config)
	if err == nil && !strings.Contains(string(text), from) {
		w.t.Fatalf("the configuration has no %q", from)
	}
	if err == nil {
		err = os.WriteFile(w.config, []byte(strings.Replace(string(text), from, to, 1)), 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}
