-- From version 2: rows in PostgreSQL's binary form.
alter table datawatch.outbox add column bytes integer, add column olds bytea[], add column news bytea[];
