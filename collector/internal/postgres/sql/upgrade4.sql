-- From version 4: statements are numbered by their place in the WAL, and no longer from a sequence, which lastval() told the
-- application of; so transactions may have the same number. A collector that takes numbers for unique would miss some: that it doesn't
-- find a sequence any more ends its reading. All go on to draw from the sequence datawatch.seq until datawatch.places has a value.
-- Writers wait while indexes are made, which takes long where there is much.
do $$ begin
  if (select sum(pg_relation_size(c.oid)) from pg_class c where c.relnamespace = 'datawatch'::regnamespace and left(c.relname, 7) in ('outbox_', 'single_') and c.relkind = 'r') > {{most}} then
    raise exception 'the outbox holds much that nobody has read' using hint = 'it is upgraded when a collector has read it';
  end if;
end $$;
alter sequence datawatch.failures rename to unnoted;
create sequence datawatch.places;
drop index datawatch.outbox_order;
drop index if exists datawatch.single_0_order, datawatch.single_1_seq_part_idx, datawatch.single_2_seq_part_idx;
update datawatch.meta set version = 5;
