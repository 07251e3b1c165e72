case
  -- A new partition has its root's primary key, and nothing else from it.
  when c.relkind = 'p' and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary and i.indisvalid and i.indimmediate) then false
  when c.relreplident = 'n' then false
  when c.relreplident = 'f' then not exists (select from pg_attribute a where a.attrelid = c.oid and a.attgenerated = 'v' and not a.attisdropped)
  else exists (
    select from pg_index i
    where i.indrelid = c.oid and i.indisvalid and i.indimmediate and case c.relreplident when 'd' then i.indisprimary else i.indisreplident end
      and not exists (
        select from pg_attribute a
        where a.attrelid = i.indrelid and a.attnum = any (i.indkey[0:i.indnkeyatts - 1]) and a.attgenerated <> ''
          and not (a.attgenerated = 's' and {{computed}})))
end
