-- The cluster and the database in it. A role without the right sees the database alone.
select case when has_function_privilege('pg_catalog.pg_control_system()', 'execute')
            then (select system_identifier::text from pg_control_system()) else '' end
       || '/' || (select oid::text from pg_database where datname = current_database())
