-- Tables on which a role hasn't a right, or hasn't USAGE on their schema, and what it lacks.
select n.oid::regnamespace::text, format('%I.%I', n.nspname, c.relname), r.oid::regrole::text,
       has_schema_privilege(r.oid, n.oid, 'usage'), has_table_privilege(r.oid, c.oid, $2)
from pg_class c join pg_namespace n on n.oid = c.relnamespace, pg_roles r
where c.oid = any ($1) and r.rolname = $3
  and not (has_schema_privilege(r.oid, n.oid, 'usage') and has_table_privilege(r.oid, c.oid, $2))
order by 2
