create or replace function {{function}}() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp{{settings}}
as $capture$
#variable_conflict use_variable
-- Names below may be those of the table's columns too; they mean the variables. Rows are taken whole.
-- Captures what a statement did to {{table}}. Written by datawatch; replaced when the table changes.
-- shape constant bigint := {{shape}};
declare
  nothing record;
  moment timestamptz;
  op "char";
  total bigint;
  gate bigint;
  slot smallint;
  closed boolean;
  large boolean;
  json boolean;
  casts boolean;
  settings text[];
  started bigint;
  number bigint;
  done bigint;
  rows integer;
  bytes bigint;
  size bigint;
  spot datawatch.spot;
  olds refcursor;
  news refcursor;
  old_row text;
  new_row text;
  old_rows text[];
  new_rows text[];
  old_sent bytea;
  new_sent bytea;
  olds_sent bytea[];
  news_sent bytea[];
  ignored text;
{{guard.declare}}begin
{{body}}
end
$capture$
