create or replace function {{function}}() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp{{settings}}
as $capture$
#variable_conflict use_variable
-- Names below may be those of the table's columns too; they mean the variables. Rows are taken whole. A statement has no
-- new row, and to return none so costs the least.
-- Captures what a statement did to {{table}}. Written by datawatch; replaced when the table changes.
-- shape constant bigint := {{shape}};
-- relation constant oid := {{oid}};
declare
  gate bigint;
  how record;
  olds refcursor;
  news refcursor;
  altered bigint;
  ignored text;
begin
{{body}}
end
$capture$
