package model

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// DDL makes the tables a, b, k, kids and p, each with the columns id int (the primary key) and v text. Of b a trigger
// updates the row that was written, kids go and move with their rows of a, and p is a partition tree.
var DDL = []string{
	`create table a (id int primary key, v text)`,
	`create table b (id int primary key, v text)`,
	`create table k (id int primary key, v text)`,
	`create table kids (id int primary key, v text, parent int references a (id) on delete cascade on update cascade)`,
	`create table p (id int primary key, v text) partition by range (id)`,
	`create table p_low partition of p for values from (minvalue) to (50)`,
	`create table p_high partition of p for values from (50) to (maxvalue)`,
	`create function again() returns trigger language plpgsql as $$ begin update b set v = v || '!' where id = new.id; return null; end $$`,
	`create trigger again after insert or update on b for each row when (pg_trigger_depth() = 0) execute function again()`,
	`create function bump(which int) returns void language sql as $$ update k set v = v || '^' where id between which and which + 3 $$`,
}

// Swaps makes the table swaps, whose key is deferrable, and StockSwaps its rows. A Writer with Swaps shifts their keys, many
// within one statement.
const (
	Swaps      = `create table swaps (id int primary key deferrable, v text)`
	StockSwaps = `insert into swaps select g, 's' from generate_series(0, 350) g`
)

// Identities has the WAL hold old rows: all of them but those of k and of one partition.
const Identities = `alter table a replica identity full; alter table b replica identity full; alter table kids replica identity full;
	alter table p_high replica identity full`

// Tables are the names of those that DDL makes.
var Tables = []string{"a", "b", "k", "kids", "p"}

// Contents are the rows of a table with the key id, as JSON, by their keys.
func Contents(ctx context.Context, db *pgx.Conn, table string) (map[string]string, error) {
	rows, err := db.Query(ctx, `select '{"id":' || id || '}', to_json(t.*)::text from `+pgx.Identifier{table}.Sanitize()+` t`, pgx.QueryExecModeExec)
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	var key, row string
	_, err = pgx.ForEachRow(rows, []any{&key, &row}, func() error { all[key] = row; return nil })
	return all, err
}
