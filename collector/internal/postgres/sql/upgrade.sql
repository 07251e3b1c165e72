-- From version 2: rows in PostgreSQL's binary form, and rarer looks at the outbox's size.
alter table datawatch.outbox add column bytes integer, add column olds bytea[], add column news bytea[];
create sequence datawatch.filled cache 1;
update datawatch.meta set version = 3;
