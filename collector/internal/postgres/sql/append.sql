if rows = 200 or rows > 0 and bytes + size > 1048576 then
  perform datawatch.write_pack(slot, number, done, tg_op, {{shape}}, moment, started + done, rows, total, spot, old_rows, new_rows);
  done := done + rows;
  rows := 0;
  bytes := 0;
  old_rows := null;
  new_rows := null;
end if;
rows := rows + 1;
bytes := bytes + size;
