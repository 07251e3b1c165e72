package postgres

import (
	"strings"
	"testing"
)

func TestAnErrorInsideCaptureDoesNotFailTheWrite(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v text)`)
	r.install()
	r.breaks(packInsert)
	r.exec(`insert into t values (1, 'x')`)
	r.mended()
	r.exec(`update t set v = 'y'`)
	expect(t, r.wait(2),
		`public.t gap capture_failed`,
		`public.t update {"id":1} before {"id":1,"v":"x"} after {"id":1,"v":"y"}`)

	r.exec(`alter table datawatch.outbox rename to elsewhere; alter table datawatch.single_0 rename to nowhere`)
	r.exec(`update t set v = 'z'`)
	r.exec(`alter table datawatch.elsewhere rename to outbox; alter table datawatch.nowhere rename to single_0`)
	expect(t, r.wait(3)[2:], `public.t gap capture_failed`)
}

// TestWhatCantBeCapturedIsAGapOrFailsTheWrite, whichever statement it is, of a single row or of many, in binary form or JSON.
func TestWhatCantBeCapturedIsAGapOrFailsTheWrite(t *testing.T) {
	for _, onError := range []string{onErrorFailOpen, onErrorStrict} {
		t.Run(onError, func(t *testing.T) {
			r := newRig(t, `create table t (id int primary key, v text)`, `create table j (id int primary key, v text, f float8)`,
				`create table p (id int primary key, v text) partition by range (id); create table p0 partition of p for values from (0) to (100)`)
			r.config.OnError = onError
			r.install()
			r.everyOutbox(`alter table %s add constraint broken check (op not in ('i', 'u', 'd', 't'))`)
			var want []string
			for _, table := range []string{"t", "j", "p"} {
				for _, sql := range []string{
					`insert into T values (1)`, `insert into T values (2), (3)`, `update T set v = 'x' where id = 1`, `update T set v = 'y'`, `update T set id = id + 20`,
					`delete from T where id = 11`, `delete from T`, `truncate T0`, `truncate T`,
				} {
					if table != "p" && sql == `truncate T0` {
						continue
					}
					r.exec(strings.ReplaceAll(`set session_replication_role = replica; delete from T; insert into T values (91), (92); update T set id = 1 where id = 91; update T set id = 11 where id = 92`, "T", table))
					if sql[0] == 'i' {
						r.exec(`delete from ` + table)
					}
					r.exec(`reset session_replication_role`)
					_, err := r.db.Exec(t.Context(), strings.ReplaceAll(sql, "T", table))
					if strict := onError == onErrorStrict; (err != nil) != strict {
						t.Errorf("%s, %s: %v", sql, table, err)
					}
					want = append(want, `public.`+table+` gap capture_failed`)
				}
			}
			r.mended()
			if onError == onErrorStrict {
				return
			}
			want = append(want, want[len(want)-1]) // TRUNCATE of a tree fires the partition's trigger as well
			expect(t, r.wait(len(want)), want...)
		})
	}
}
