package postgres

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// print sets how the table's function captures rows: in binary form, if they may be, or as JSON, and how it makes sure at each
// statement that this calls no cast of whoever owns a type, which else row_sql does at greater cost: see datawatch.brings_casts.
func (t *table) print(sent bool) {
	t.sent = sent
	all := &t.all
	all.altered = "datawatch.altered_meanwhile()::json"
	t.row = func(relation string) string { return rowSQL(relation, t.drop) }
	t.sure = "not datawatch.brings_casts_in(tg_relid)"
	if t.sent {
		return // and names no columns, which may be altered
	}
	if strings.Contains(all.signature()+all.attributes(), "$capture$") { // which ends the function's text
		t.sure = "false"
		return
	}
	t.named = true
	t.sure = "datawatch.has_columns(tg_relid, " + Quote(all.signature()) + ")"
	if composites := all.composites(); len(composites) > 0 { // a transaction that keeps its snapshot may not see their attributes
		t.sure = fmt.Sprintf("(current_setting('transaction_isolation') = 'read committed' and %s and datawatch.has_attributes('{%s}', %s))",
			t.sure, strings.Join(composites, ","), Quote(all.attributes()))
	}
	shown := *all
	shown.Drop = t.drop
	t.row = func(relation string) string {
		return "case when current_setting('transaction_isolation') = 'read committed' or " + all.same(relation) + " then " + shown.rowSQL(relation) + " else datawatch.altered_meanwhile() end"
	}
}

// composites are the composite types that somebody created, in the order of their oids.
func (d *described) composites() []string {
	var oids []string
	for oid, t := range d.Types {
		if t.Kind == "c" && userType(oid) {
			oids = append(oids, oid)
		}
	}
	slices.SortFunc(oids, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	return oids
}

// attributes is what datawatch.has_attributes compares.
func (d *described) attributes() string {
	var attributes []string
	for _, oid := range d.composites() {
		for _, f := range d.Types[oid].Fields {
			attributes = append(attributes, oid+" "+f.signature())
		}
	}
	return strings.Join(attributes, ",")
}

// signature is what datawatch.has_columns compares.
func (d *described) signature() string {
	columns := make([]string, len(d.Columns))
	for i, c := range d.Columns {
		columns[i] = c.signature()
	}
	return strings.Join(columns, ",")
}

// signature has the name's length before it, so that no name reads as several columns.
func (c describedColumn) signature() string {
	return c.OID + " " + strconv.Itoa(utf8.RuneCountInString(c.Name)) + " " + c.Name
}

// same tells in SQL whether a row has these columns and no others.
func (d *described) same(relation string) string {
	names, tests := make([]string, len(d.Columns)), make([]string, len(d.Columns))
	for i, c := range d.Columns {
		if slices.ContainsFunc(d.Virtual, func(v virtualColumn) bool { return v.Place == i+1 }) { // which may not be named, and is null
			names[i] = "null::" + c.Type
			continue
		}
		names[i] = relation + "." + pgx.Identifier{c.Name}.Sanitize()
		tests[i] = " and pg_typeof(" + names[i] + ")::oid = " + c.OID
	}
	return "record_image_eq(" + relation + ".*, row(" + strings.Join(names, ", ") + "))" + strings.Join(tests, "")
}

// firstUserType is the first oid that a type may have which somebody created.
const firstUserType = 16384

func userType(oid string) bool {
	n, err := strconv.ParseUint(oid, 10, 32)
	return err != nil || n >= firstUserType
}

// rowSQL prints a row as JSON. It calls no cast to json of whoever owns a type: see datawatch.brings_casts.
func (d *described) rowSQL(relation string) string {
	casts := false
	var values []string
	for _, c := range d.Columns {
		if slices.Contains(d.Drop, c.Name) {
			continue
		}
		name := pgx.Identifier{c.Name}.Sanitize()
		casts = casts || d.bringsCasts(c.OID, 0)
		values = append(values, d.valueSQL(c.OID, relation+"."+name, 0)+" as "+name)
	}
	if !casts && len(d.Drop) == 0 {
		return rowSQL(relation, nil)
	}
	return "(select to_json(datawatch_safe.*)::text from (select " + strings.Join(values, ", ") + ") datawatch_safe)"
}

// bringsCasts is as datawatch.brings_casts in a transaction that sees the catalog as it is.
func (d *described) bringsCasts(oid string, depth int) bool {
	switch t := d.Types[oid]; {
	case !userType(oid):
		return false
	case depth > maxTypeDepth:
		return true
	case t.Kind == "d":
		return d.bringsCasts(t.Base, depth+1)
	case t.Kind == "c":
		for _, f := range t.Fields {
			if d.bringsCasts(f.OID, depth+1) {
				return true
			}
		}
		return false
	case t.Element != "":
		return d.bringsCasts(t.Element, depth+1)
	default:
		return t.Kind != "b"
	}
}

// valueSQL is as datawatch.value_sql.
func (d *described) valueSQL(oid, value string, depth int) string {
	if depth > maxTypeDepth || !d.bringsCasts(oid, 0) {
		return value
	}
	t := d.base(oid)
	there := "case when num_nulls(" + value + ") = 0 then "
	text := "format('%s', " + value + ")"
	switch {
	case t.Kind == "c":
		return there + d.compositeSQL(t, value, depth) + " end"
	case t.Element == "":
		return there + text + " end"
	case d.base(t.Element).Kind != "c":
		return "textin(array_out(" + value + "))::text[]"
	}
	i := around(value)
	return there + fmt.Sprintf("case coalesce(array_ndims(%[1]s), 0) when 0 then '[]' when 1 then (select json_agg(%[2]s order by %[3]s) from generate_subscripts(%[1]s, 1) %[3]s) else to_json(%[4]s) end end",
		value, d.valueSQL(t.Element, "("+value+")["+i+"]", depth+1), i, text)
}

// around is a name that no value has which is around this one.
func around(value string) string {
	return fmt.Sprintf("datawatch_%x", sha256.Sum256([]byte(value)))[:22]
}

// compositeSQL takes attributes by their place, and fails where they aren't of these types: nobody keeps the type's owner from altering
// it, and a name that isn't an attribute's is a function's, which is called with the value.
func (d *described) compositeSQL(t describedType, value string, depth int) string {
	all := around(value)
	names, taken, printed := make([]string, len(t.Fields)), make([]string, len(t.Fields)), make([]string, len(t.Fields))
	same := ""
	for i, f := range t.Fields {
		names[i] = "a" + strconv.Itoa(i+1)
		taken[i] = all + "." + names[i]
		same += " and pg_typeof(" + taken[i] + ")::oid = " + f.OID
		printed[i] = d.valueSQL(f.OID, taken[i], depth+1) + " as " + pgx.Identifier{f.Name}.Sanitize()
	}
	return fmt.Sprintf("(select case when record_image_eq(%s, row(%s))%s then (select to_json(datawatch_safe.*) from (select %s) datawatch_safe)"+
		" else %s end from (select (%s).*) %s(%s))",
		value, strings.Join(taken, ", "), same, strings.Join(printed, ", "), cmp.Or(d.altered, "(pg_typeof("+value+")::text || ' was altered')::json"),
		value, all, strings.Join(names, ", "))
}

// base is a type, of a domain the one below.
func (d *described) base(oid string) describedType {
	t := d.Types[oid]
	for i := 0; t.Kind == "d" && i < maxTypeDepth; i++ {
		t = d.Types[t.Base]
	}
	return t
}
