package wal

import "testing"

// TestAServerWithoutMD5 is captured, as one is where OpenSSL is bound to what FIPS approves: there calls of it fail.
func TestAServerWithoutMD5(t *testing.T) {
	r := newRig(t, `create type price as (n numeric, currency text)`, `create table t (id int primary key, of price)`,
		`do $$ declare f regprocedure; begin for f in select oid from pg_proc where proname = 'md5' loop execute format('alter function %s rename to md5_that_fails', f); end loop; end $$`)
	r.install()
	stop := r.start()
	r.exec(`insert into t values (1, row(1.5, 'EUR'))`)
	r.await(1)
	r.exec(`alter type price add attribute more int`)
	r.exec(`insert into t values (2, row(2.5, 'EUR', 3))`)
	r.await(2)
	_ = stop()
	expect(t, r.captured(), `public.t insert {"id":1} after {"id":1,"of":{"n":1.5,"currency":"EUR"}}`,
		`public.t insert {"id":2} after {"id":2,"of":{"n":2.5,"currency":"EUR","more":3}}`)
}
