// Package ddl makes, alters and writes to tables of PostgreSQL whatever an application and its DBA might, at random, in several
// sessions, and holds what was captured of it against what the tables have.
//
// A [Fuzz] chooses each operation by what the catalog says at that moment. Sessions get in each other's way, so what was done can't be
// repeated by its seed; it is noted, statement by statement, and what concerned a stream that differs is shown.
//
// By what it is told without a gap a stream has the rows of its table, exactly, and none where there is no such table that is selected.
// Behind a gap rows may be missing, and of those that were told before it nothing is known; but what was told since is as it was told.
// Behind a snapshot that replaced it, it has them exactly. It refuses to hold against capture what no event tells: the values of columns
// that an ALTER TABLE made or rewrote are left out.
package ddl
