package postgres

import (
	"context"
	"strings"
	"testing"

	"datawatch/pkg/daemon"
	"datawatch/pkg/reason"
)

// role makes a role that may log in and nothing else, for as long as the test runs.
func (r *rig) role(name string) {
	r.t.Helper()
	r.exec(`drop role if exists ` + name + `; create role ` + name + ` login password 'x'`)
	r.t.Cleanup(func() {
		db := r.session0()
		defer closeConn(context.Background(), db)
		_, _ = db.Exec(context.Background(), `drop owned by `+name+` cascade`)
		_, _ = db.Exec(context.Background(), `drop role `+name)
	})
}

// finding is what check says of a part of the source.
func (r *rig) finding(part string) daemon.Finding {
	r.t.Helper()
	for _, f := range r.source().Check(r.t.Context()) {
		if f.What == "source shop-db "+part {
			return f
		}
	}
	return daemon.Finding{}
}

// TestAnInstallerWithoutTRIGGERIsTold by check before he tries, and by the installation, with what grants it.
func TestAnInstallerWithoutTRIGGERIsTold(t *testing.T) {
	r := newRig(t, `create schema "S s"; create table "S s".a (id int primary key); create table b (id int primary key); create table given (id int primary key)`,
		`do $$ begin for i in 1..6 loop execute format('create table many%s (id int primary key)', i); end loop; end $$`)
	r.role("dw_ungranted_installer")
	r.exec(`do $$ begin execute format('grant create on database %I to dw_ungranted_installer', current_database()); end $$; grant trigger on given to dw_ungranted_installer`)
	r.config.Tables, r.config.Exclude = []string{"*.*"}, []string{"public.many*"}
	r.config.InstallDSN = r.as("dw_ungranted_installer", "x")
	usage, onA, onB := `grant usage on schema "S s" to dw_ungranted_installer`, `grant trigger on "S s".a`, `grant trigger on public.b to dw_ungranted_installer`

	f := r.finding("triggers")
	if f.Err == nil || !strings.Contains(f.Err.Error(), `"S s".a, public.b`) || strings.Contains(f.Err.Error(), "given") ||
		!strings.Contains(f.Remedy, usage+`; grant trigger on "S s".a, public.b to dw_ungranted_installer`) {
		t.Errorf("check says %q (%s)", f.Err, f.Remedy)
	}
	s := r.source()
	err := s.Install(t.Context())
	if err == nil || !strings.Contains(err.Error(), usage+"; "+onA+" to dw_ungranted_installer") || !strings.Contains(err.Error(), onB) || strings.Contains(err.Error(), "given") {
		t.Fatalf("installed with %v", err)
	}
	for stream, lacks := range *s.refused.Load() {
		if lacks.why.Code != reason.Ungranted || !strings.Contains(lacks.why.In("vi"), "grant trigger on") {
			t.Errorf("%s isn't captured, since %q", stream, lacks.why)
		}
	}
	r.config.Exclude = nil
	if f := r.finding("triggers"); f.Err == nil || !strings.Contains(f.Err.Error(), "public.many3, and 3 more") {
		t.Errorf("of many tables, check says %q", f.Err)
	}
	r.config.Exclude = []string{"public.many*"}
	r.exec(usage + `; grant trigger on "S s".a, public.b to dw_ungranted_installer`)
	if f := r.finding("triggers"); f.Err != nil {
		t.Errorf("with the rights, check says %q", f.Err)
	}
	r.install()
}
