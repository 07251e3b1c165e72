create or replace function {{function}}() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp{{settings}}
as $capture$
#variable_conflict use_variable
-- Names below may be those of the table's columns too; they mean the variables. Rows are taken whole.
-- Captures what a statement did to {{table}}. Written by datawatch; replaced when the table changes.
declare
  shape constant bigint := {{shape}};
  moment constant timestamptz := clock_timestamp();
  total bigint;
  slot smallint;
  closed boolean;
  started bigint;
  number bigint;
  done bigint := 0;
  rows integer := 0;
  bytes bigint := 0;
  size bigint;
  spot datawatch.spot;
  olds refcursor;
  news refcursor;
  old_row text;
  new_row text;
  old_rows text[];
  new_rows text[];
  ignored text;
{{guard.declare}}begin
{{body}}
end
$capture$
