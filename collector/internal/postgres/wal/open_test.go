package wal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/testrig"
)

// TestATransactionThatHoldsTheSlotBackIsNamed: datawatch itself has read all that there is.
func TestATransactionThatHoldsTheSlotBackIsNamed(t *testing.T) {
	for _, version := range []string{"", "13", "18"} {
		for _, prepared := range []bool{false, true} {
			t.Run(fmt.Sprintf("prepared %v PostgreSQL%s", prepared, version), func(t *testing.T) {
				r := newRigOn(t, private(t, version, map[string]string{
					"max_slot_wal_keep_size": "16MB", "min_wal_size": "32MB", "max_wal_size": "32MB", "max_prepared_transactions": "1",
				}, ""), `create table t (id int primary key)`, `create table other (v text)`)
				r.config.Tables = []string{"public.t"}
				r.start()
				writer := r.session()
				want := fmt.Sprintf("for a transaction that is still open (pid %d, since ", writer.PgConn().PID())
				open := `begin; insert into t values (1)`
				if prepared {
					open, want = open+`; prepare transaction 'of the shop'`, `for a transaction that is still open (prepared as "of the shop", since `
				}
				if _, err := writer.PgConn().Exec(t.Context(), open).ReadAll(); err != nil {
					t.Fatal(err)
				}
				r.fillUntilWarned()
				testrig.Eventually(t, time.Minute, func() error {
					r.mu.Lock()
					defer r.mu.Unlock()
					if told := r.states[len(r.states)-1]; !strings.HasPrefix(told, "stalled the slot ") || !strings.Contains(told, want) {
						return errors.New(told)
					}
					return nil
				})
			})
		}
	}
}

// TestASlotThatIsBeingMadeIsNotLost: it waits for transactions, of which the oldest is named.
func TestASlotThatIsBeingMadeIsNotLost(t *testing.T) {
	for _, version := range []string{"", "13", "18"} {
		t.Run("PostgreSQL"+version, func(t *testing.T) {
			r := newRigOn(t, private(t, version, nil, ""), `create table t (id int primary key)`, `create table other (v text)`)
			r.config.Tables = []string{"public.t"}
			writer := r.session()
			if _, err := writer.PgConn().Exec(t.Context(), `begin; insert into other values (1)`).ReadAll(); err != nil {
				t.Fatal(err)
			}
			started := make(chan error, 1)
			running := r.source()
			go func() { started <- running.Run(t.Context(), r.progress(), r.emit) }()
			want := fmt.Sprintf("waits for the transactions that are running now, the oldest of pid %d, since ", writer.PgConn().PID())
			testrig.Eventually(t, time.Minute, func() error {
				select {
				case err := <-started:
					t.Fatalf("run ended with %v", err)
				default:
				}
				text := findingsText(r.source().Check(t.Context()))
				if strings.Contains(text, "is lost") {
					t.Fatalf("check says\n%s", text)
				}
				if !strings.Contains(text, want) {
					return errors.New(text)
				}
				return nil
			})
			if _, err := writer.Exec(t.Context(), `commit`); err != nil {
				t.Fatal(err)
			}
			testrig.Eventually(t, time.Minute, func() error {
				r.mu.Lock()
				defer r.mu.Unlock()
				if !slices.Contains(r.states, "streaming ") {
					return fmt.Errorf("states %q", r.states)
				}
				return nil
			})
		})
	}
}
