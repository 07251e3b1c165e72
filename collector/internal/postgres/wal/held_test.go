package wal

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/config"
	"datawatch/pkg/testrig"
)

// TestWhatAnotherSessionTookFromTheSlotIsAGap: one that held the slot while the collector waited for it, and couldn't be ended.
func TestWhatAnotherSessionTookFromTheSlotIsAGap(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`)
	reader := r.role("_r", "replication")
	r.config.DSN, r.config.InstallDSN = r.as(reader), config.Secret(r.dsn)
	r.install()
	r.exec(`insert into t values (1)`)
	r.wait(1)

	holder, err := openStream(t.Context(), config.Secret(r.dsn))
	if err != nil {
		t.Fatal(err)
	}
	version := r.version()
	err = retry(t.Context(), func() error { return holder.start(t.Context(), r.source().names, 0, version >= 140000) }, codeInUse)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.source().Run(t.Context(), r.progress(), r.emit) }()
	want := fmt.Sprintf("held by another session (pid %d, role ", holder.conn.PID())
	testrig.Eventually(t, time.Minute, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if states := strings.Join(r.states, "\n"); !strings.Contains(states, want) {
			return errors.New(states)
		}
		return nil
	})
	r.exec(`insert into t values (2)`)
	end := r.end()
	holder.confirm(end)
	testrig.Eventually(t, 15*time.Second, func() error {
		if err := holder.status(t.Context(), false); err != nil {
			return err
		}
		slot, err := askSlot(t.Context(), r.db, r.source().names.slot, version)
		if err == nil && slot.confirmed < end {
			err = fmt.Errorf("the slot is at %s", slot.confirmed)
		}
		return err
	})
	holder.close(t.Context())
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "was moved on") {
			t.Errorf("run ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the source goes on behind what it didn't read")
	}
	stop := r.start()
	r.await(2)
	r.exec(`insert into t values (3)`)
	r.await(3)
	_ = stop()
	expect(t, r.captured(), `public.t insert {"id":1} after {"id":1}`, `public.t gap `+causeSlotMoved, `public.t insert {"id":3} after {"id":3}`)
}
