declare
  lost record;
  leaf regclass;
begin
  for lost in
    select published.prrelid::regclass as relation, c.relispartition and c.relkind = 'r' as by_itself, c.relkind = 'p' as tree,
      exists (select from pg_publication_rel pr join pg_publication p on p.oid = pr.prpubid where pr.prrelid = published.prrelid and p.pubname = '{{inserts}}') as inserts
    from pg_publication_rel published join pg_publication p on p.oid = published.prpubid join pg_class c on c.oid = published.prrelid
    where p.pubname = '{{all}}' and case when c.relkind <> 'p' then not ({{updates}}) else exists (
      select from pg_partition_tree(published.prrelid) member join pg_class c on c.oid = member.relid where member.isleaf and not ({{updates}})) end
  loop
    execute format('alter publication {{all}} drop table only %s', lost.relation);
    if not lost.by_itself and not lost.inserts then
      execute format('alter publication {{inserts}} add table only %s', lost.relation);
    end if;
    if lost.tree then
      for leaf in select member.relid from pg_partition_tree(lost.relation) member join pg_class c on c.oid = member.relid where member.isleaf and {{updates}} loop
        execute format('alter publication {{all}} add table only %s', leaf);
      end loop;
    end if;
  end loop;
exception when others then
  null;
end
