package wal

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"datawatch/pkg/config"
)

// TestRemoveLeavesWhatIsntOurs: a source of the same name on another database of the cluster, and a standby's slot.
func TestRemoveLeavesWhatIsntOurs(t *testing.T) {
	r := newRigOn(t, private(t, "", nil, ""), `create table t (id int primary key)`, `create database staging`)
	stop := r.start()
	other := r.source()
	other.config.DSN = config.Secret(strings.Replace(r.dsn, "/shop", "/staging", 1))
	if err := other.Remove(t.Context()); err != nil {
		t.Errorf("remove: %v", err)
	}
	r.exec(`insert into t values (1)`)
	r.await(1)
	_ = stop()
	if err := r.source().Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.exec(`select pg_create_physical_replication_slot('` + other.names.slot + `')`)
	if err := r.source().Remove(t.Context()); err != nil {
		t.Errorf("remove: %v", err)
	}
	var left int
	if err := r.db.QueryRow(t.Context(), `select count(*) from pg_replication_slots`).Scan(&left); err != nil || left != 1 {
		t.Errorf("%d slots are left, %v", left, err)
	}
}

// TestNobodyTakesAnotherDatabasesSlotForItsOwn: without one of its own, capture would read nothing.
func TestNobodyTakesAnotherDatabasesSlotForItsOwn(t *testing.T) {
	r := newRigOn(t, private(t, "", nil, ""), `create table t (id int primary key)`, `create database staging`)
	r.install()
	other := r.source()
	other.config.DSN = config.Secret(strings.Replace(r.dsn, "/shop", "/staging", 1))
	_, planned := other.Plan(t.Context())
	_, status := other.Status(t.Context())
	for what, err := range map[string]error{"plan": planned, "install": other.Install(t.Context()), "status": status} {
		if err == nil || !strings.Contains(err.Error(), `of database "shop"`) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if text := findingsText(other.Check(t.Context())); !strings.Contains(text, `of database "shop"`) {
		t.Errorf("check says\n%s", text)
	}
}

// TestAnUpdateNeverFailsForADroppedType, or whatever else took the primary key's column with it.
func TestAnUpdateNeverFailsForADroppedType(t *testing.T) {
	for _, version := range []string{"", "13", "18"} {
		t.Run("PostgreSQL"+version, func(t *testing.T) {
			for drop, made := range map[string]string{
				`drop domain code cascade`:                  `create domain code as text; create table t (id code primary key, v int)`,
				`drop type code cascade`:                    `create type code as enum ('a'); create table t (id code primary key, v int)`,
				`drop schema s cascade`:                     `create schema s; create type s.code as enum ('a'); create table t (id s.code primary key, v int)`,
				`alter type code drop attribute id cascade`: `create type code as (id text, v int); create table t of code (primary key (id))`,
				`drop owned by {{role}} cascade`:            `create role {{role}}; create domain code as text; alter domain code owner to {{role}}; create table t (id code primary key, v int)`,
				`drop extension citext cascade`:             `create extension citext; create table t (id citext primary key, v int)`,
				`drop index t_id; create temp table x (id int primary key); drop table x`: `create table t (id text not null, v int); create unique index t_id on t (id); alter table t replica identity using index t_id`,
			} {
				t.Run(drop, func(t *testing.T) {
					r := newRigOn(t, databaseOn(t, version))
					role := strings.NewReplacer("{{role}}", r.source().names.slot+"_role")
					r.exec(role.Replace(made) + `; insert into t values ('a', 1)`)
					r.install()
					r.exec(role.Replace(drop))
					r.exec(`update t set v = 2; delete from t`) // fails where its updates are published
					r.exec(role.Replace(`drop role if exists {{role}}`))
				})
			}
		})
	}
}

// TestAStrangersSchemaIsToldOf, in which no event trigger is made: he could change what superusers run.
func TestAStrangersSchemaIsToldOf(t *testing.T) {
	var log bytes.Buffer
	r := newRig(t, `create table t (id int primary key)`)
	r.opts.Log = slog.New(slog.NewTextHandler(&log, nil))
	stranger := r.role("_s", "")
	r.exec(`create schema datawatch_wal authorization ` + stranger)
	const told = "the schema datawatch_wal is of"
	if text := findingsText(r.source().Check(t.Context())); !strings.Contains(text, told) || !strings.Contains(text, stranger) {
		t.Errorf("check says\n%s", text)
	}
	stop := r.start()
	_ = stop()
	if !strings.Contains(log.String(), told) {
		t.Errorf("the log says\n%s", log.String())
	}
	r.exec(`drop schema datawatch_wal cascade`)
	stop = r.start()
	_ = stop()
	if text := findingsText(r.source().Check(t.Context())); strings.Contains(text, "event trigger") {
		t.Errorf("check says\n%s", text)
	}
	r.exec(`alter table t drop constraint t_pkey; update t set id = 2`) // fails where its updates are published
}
