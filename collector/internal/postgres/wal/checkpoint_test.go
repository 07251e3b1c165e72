package wal

import (
	"fmt"
	"testing"
	"time"

	"datawatch/collector/internal/source"
	"datawatch/pkg/testrig"
)

// TestACheckpointIsReachedWhenWhatWasCommittedIsRead: not before, whatever else was read; and soon, also where the WAL holds
// nothing that is captured.
func TestACheckpointIsReachedWhenWhatWasCommittedIsRead(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`, `create table other (id int)`)
	r.config.Exclude = []string{"public.other"}
	r.install()
	stop := r.start()
	r.exec(`insert into t values (1)`)
	r.await(1)
	_ = stop()

	r.exec(`insert into t values (2)`)
	mark := r.checkpoint()
	reached := func() bool {
		t.Helper()
		is, err := mark.Reached(t.Context(), r.progress())
		if err != nil {
			t.Fatal(err)
		}
		return is
	}
	if reached() {
		t.Error("a checkpoint is reached with a commit before it that nobody has read")
	}
	arrive := func() {
		t.Helper()
		testrig.Eventually(t, 60*time.Second, func() error {
			if !reached() {
				return fmt.Errorf("not reached after %d events", len(r.captured()))
			}
			return nil
		})
	}
	if r.version() >= 140000 {
		r.limits.heartbeat = time.Hour // nothing else has progress committed
	}
	r.start()
	arrive()
	if n := len(r.captured()); n != 2 {
		t.Errorf("%d events when the checkpoint is reached", n)
	}
	r.exec(`insert into other values (1)`)
	mark = r.checkpoint()
	arrive()
}

func (r *rig) checkpoint() source.Checkpoint {
	r.t.Helper()
	mark, err := r.source().Checkpoint(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return mark
}
