declare
  lost record;
  leaf regclass;
begin
  if tg_event = 'sql_drop' then -- whatever was dropped may have taken a column with it, of a type or a schema
    if not exists (select from pg_event_trigger_dropped_objects() d where d.object_type in ('table column', 'table constraint', 'index') and not d.is_temporary) then
      return;
    end if;
  end if;
  for lost in
    with recursive member(root, relid) as (
      select pr.prrelid, pr.prrelid from pg_publication_rel pr join pg_publication p on p.oid = pr.prpubid where p.pubname = '{{all}}'
      union all -- pg_partition_tree waits for whoever locks a partition
      select member.root, i.inhrelid from member join pg_class t on t.oid = member.relid and t.relkind = 'p' join pg_inherits i on i.inhparent = t.oid
    ), part as (
      select member.root, member.relid, {{updates}} as updates from member join pg_class c on c.oid = member.relid and (c.relkind = 'r' or c.oid = member.root)
    )
    select c.oid::regclass as relation, c.relispartition and c.relkind = 'r' as by_itself,
      exists (select from pg_publication_rel pr join pg_publication p on p.oid = pr.prpubid where pr.prrelid = c.oid and p.pubname = '{{inserts}}') as inserts,
      array(select part.relid::regclass from part where part.root = c.oid and part.relid <> c.oid and part.updates) as leaves
    from pg_class c where exists (select from part where part.root = c.oid and not part.updates)
  loop
    begin
      execute format('alter publication {{all}} drop table only %s', lost.relation);
      if not lost.by_itself and not lost.inserts then
        execute format('alter publication {{inserts}} add table only %s', lost.relation);
      end if;
    exception when others then -- locked: it is left to the collector, and no other table is waited for as long
      perform set_config('lock_timeout', '1ms', true);
      continue;
    end;
    foreach leaf in array lost.leaves loop
      begin
        execute format('alter publication {{all}} add table only %s', leaf);
      exception when others then
        perform set_config('lock_timeout', '1ms', true);
      end;
    end loop;
  end loop;
exception when others then
  null;
end
