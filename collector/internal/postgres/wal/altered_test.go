package wal

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"datawatch/pkg/testrig"
)

// TestACompositeThatIsAlteredIsToldAsItIs: the stream tells nothing of it. One with another number of attributes is seen at once, other names
// at the next look.
func TestACompositeThatIsAlteredIsToldAsItIs(t *testing.T) {
	r := newRig(t, `create type addr as (street text, city text)`, `create table t (id int primary key, a addr)`)
	stop := r.start()
	r.exec(`insert into t values (1, ('x', 'y'))`)
	r.await(1)
	r.exec(`alter type addr add attribute zip text; insert into t values (2, ('x', 'y', '1'))`)
	r.await(2)
	r.exec(`alter type addr rename attribute city to town`)
	id := 2
	testrig.Eventually(t, time.Minute, func() error {
		id++
		r.exec(fmt.Sprintf(`insert into t values (%d, ('x', 'y', '1'))`, id))
		r.await(id)
		if line := brief(t, r.captured()[id-1]); !strings.Contains(line, `"town"`) {
			return fmt.Errorf("%s", line)
		}
		return nil
	})
	_ = stop()
	got := r.captured()
	expect(t, got[:2], `public.t insert {"id":1} after {"id":1,"a":{"street":"x","city":"y"}}`,
		`public.t insert {"id":2} after {"id":2,"a":{"street":"x","city":"y","zip":"1"}}`)
	expect(t, got[len(got)-1:], fmt.Sprintf(`public.t insert {"id":%[1]d} after {"id":%[1]d,"a":{"street":"x","town":"y","zip":"1"}}`, id))
}

// TestAKeyOutlivesItsNameAndItsTable: where old rows come whole, nothing in the stream tells which columns are the key, and the catalog has
// them under another name, or not at all, when they are read.
func TestAKeyOutlivesItsNameAndItsTable(t *testing.T) {
	r := newRig(t, `create table t (id int primary key, v int)`, `alter table t replica identity full`, `create table u (id int primary key, v int)`, `alter table u replica identity full`)
	stop := r.start()
	_ = stop()
	r.exec(`insert into t values (1, 1); update t set v = 2; insert into u values (1, 1); update u set v = 2`)
	r.exec(`alter table t rename column id to ident; insert into t values (2, 2); drop table u`)
	expect(t, r.wait(8), `public.t insert {"id":1} after {"id":1,"v":1}`, `public.t update {"id":1} before {"id":1,"v":1} after {"id":1,"v":2}`,
		`public.u insert {"id":1} after {"id":1,"v":1}`, `public.u update {"id":1} before {"id":1,"v":1} after {"id":1,"v":2}`,
		`public.t truncate - reason key`, `public.t gap key_changed`, `public.t insert {"ident":2} after {"ident":2,"v":2}`, `public.u truncate - reason drop`)
}
