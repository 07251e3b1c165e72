not p.puballtables and not p.pubviaroot and p.pubinsert and p.pubtruncate and p.pubupdate = (p.pubname = $1) and p.pubdelete = (p.pubname = $1)
  and coalesce(to_jsonb(p) ->> 'pubgencols', 's') = 's'
