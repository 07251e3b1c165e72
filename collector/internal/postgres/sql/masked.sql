-- A stream's name has bytes of others than these characters as hexadecimal digits.
  return array(
    select distinct m.field
    from (values {{entries}}) m(streams, field)
    where (
      select {{source}} || '/' || string_agg(encoded.name, '.' order by named.place)
      from unnest(array[convert_to(root_schema, 'UTF8'), convert_to(root_table, 'UTF8')]) with ordinality named(name, place)
      cross join lateral (
        select string_agg(case when b.byte between 45 and 122 and chr(b.byte) ~ '[A-Za-z0-9_-]' collate "C" then chr(b.byte) else '%' || lpad(upper(to_hex(b.byte)), 2, '0') end, '' order by b.i) as name
        from (select i, get_byte(named.name, i) as byte from generate_series(0, octet_length(named.name) - 1) i) b
      ) encoded
    ) ~ m.streams collate "C");
