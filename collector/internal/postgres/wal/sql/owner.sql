-- The first of the publications $1 and $2 whose owner isn't the role $3, one that it is a member of, a superuser, or one with all rights
-- on the tables $4. pg_has_role takes a superuser for a member of every role.
with recursive own as (
  select oid from pg_roles where rolname = $3
  union
  select m.roleid from own join pg_auth_members m on m.member = own.oid
)
select p.pubname, o.rolname
from pg_publication p join pg_roles o on o.oid = p.pubowner
where p.pubname in ($1, $2) and not o.rolsuper and o.oid not in (select oid from own)
  and not coalesce((select bool_and(pg_has_role(o.oid, c.relowner, 'usage')) from pg_class c where c.oid = any ($4)), false)
order by 1 limit 1
