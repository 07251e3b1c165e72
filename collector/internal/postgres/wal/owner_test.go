package wal

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// role makes a role with a password of x, and takes it away with all that it has.
func (r *rig) role(ending, attributes string) string {
	r.t.Helper()
	name := strings.ReplaceAll(r.sourceName(), "-", "_") + ending
	r.exec(`create role ` + name + ` login password 'x' ` + attributes)
	r.t.Cleanup(func() {
		db := r.session0()
		defer func() { _ = db.Close(context.Background()) }()
		for _, sql := range []string{`drop owned by ` + name, `drop role ` + name} {
			if _, err := db.Exec(context.Background(), sql); err != nil {
				r.t.Error(err)
			}
		}
	})
	return name
}

// TestAPublicationThatAStrangerMadeIsRefused: with CREATE on the database alone, he could alter it whenever he likes.
func TestAPublicationThatAStrangerMadeIsRefused(t *testing.T) {
	r := newRig(t, `create table t (id int primary key)`, `create table log (v int)`)
	stranger := r.role("_s", "")
	r.exec(fmt.Sprintf(`do $$ begin execute format('grant create on database %%I to %s', current_database()); end $$`, stranger))
	names := r.source().names
	r.exec(fmt.Sprintf(`set role %s; create publication %s; create publication %s with (publish = 'insert, truncate'); reset role`, stranger, names.all, names.inserts))
	refused := func(what string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), stranger) || !strings.Contains(err.Error(), "alter publication "+names.all+" owner to") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for name, manages := range map[string]bool{"": true, ", a DBA installs": false} {
		r.config.ManageTriggers = manages
		_, err := r.source().Plan(t.Context())
		refused("plan"+name, err)
		refused("install"+name, r.source().Install(t.Context()))
		_, err = r.source().Status(t.Context())
		refused("status"+name, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		refused("run"+name, r.source().Run(ctx, nil, r.emit))
		cancel()
		if text := findingsText(r.source().Check(t.Context())); !strings.Contains(text, "publications:  ERROR") || !strings.Contains(text, stranger) {
			t.Errorf("check%s says\n%s", name, text)
		}
	}
	r.config.ManageTriggers = true
	r.exec(fmt.Sprintf(`alter publication %s owner to current_user; alter publication %s owner to current_user`, names.all, names.inserts))
	r.install()
	r.exec(`insert into t values (1)`)
	r.wait(1)
}

// TestPublicationsOfWhoeverHasTheTablesAreTaken: of a role that the installer is a member of, and of one that could do with the tables
// what it likes anyway.
func TestPublicationsOfWhoeverHasTheTablesAreTaken(t *testing.T) {
	r := newRig(t)
	owner := r.role("_o", "")
	member := r.role("_m", "in role "+owner)
	r.exec(fmt.Sprintf(`do $$ begin execute format('grant create on database %%I to %[1]s', current_database()); end $$; grant all on schema public to %[1]s`, owner))
	names := r.source().names
	r.exec(fmt.Sprintf(`set role %s; create publication %s; create publication %s with (publish = 'insert, truncate'); reset role`, owner, names.all, names.inserts))
	r.config.InstallDSN = r.as(member)
	if _, err := r.source().Status(t.Context()); err != nil {
		t.Errorf("of a role that the installer is a member of: %v", err)
	}
	r.config.InstallDSN = ""
	if _, err := r.source().Status(t.Context()); err == nil {
		t.Error("of a role that has no table")
	}
	r.exec(`set role ` + owner + `; create table t (id int primary key); reset role`)
	if _, err := r.source().Status(t.Context()); err != nil {
		t.Errorf("of the role that has the table: %v", err)
	}
}
