package wal

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"datawatch/pkg/testrig"
	servers "datawatch/pkg/testrig/postgres"
)

// TestWALThatWasRemovedIsAGap, for which the slot is made anew.
func TestWALThatWasRemovedIsAGap(t *testing.T) {
	for _, version := range []string{"", "13", "18"} {
		t.Run("PostgreSQL"+version, func(t *testing.T) {
			private := testrig.PrivatePostgres(t, servers.Options{Version: version, Settings: map[string]string{"fsync": "off"}})
			if err := private.CreateDatabase(t.Context(), "shop"); err != nil {
				t.Fatal(err)
			}
			r := newRigOn(t, private.DSN("shop"), `create table t (id int primary key)`)
			r.install()
			r.exec(`insert into t values (1)`)
			r.wait(1)
			r.exec(`select pg_switch_wal()`)
			var data, first string
			err := r.db.QueryRow(t.Context(), `select current_setting('data_directory'), pg_walfile_name(restart_lsn) from pg_replication_slots`).Scan(&data, &first)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(data, "pg_wal", first)); err != nil {
				t.Fatal(err)
			}
			if err := r.source().Run(t.Context(), r.progress(), r.emit); !undecodable(err) {
				t.Errorf("run ended with %v", err)
			}
			stop := r.start()
			r.exec(`insert into t values (2)`)
			r.await(3)
			_ = stop()
			expect(t, r.captured(), `public.t insert {"id":1} after {"id":1}`, `public.t gap slot_lost`, `public.t insert {"id":2} after {"id":2}`)
		})
	}
}

// TestASlotIsDroppedForNoOtherFile that the server didn't find, such as its plugin's: it may find it again.
func TestASlotIsDroppedForNoOtherFile(t *testing.T) {
	missing := &streamError{&pgconn.PgError{Code: codeNoFile, Message: `could not access file "pgoutput": No such file or directory`, Routine: "internal_load_library"}}
	if undecodable(missing) {
		t.Errorf("%v is taken for WAL that was removed", missing)
	}
}
