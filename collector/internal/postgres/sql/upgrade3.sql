-- From version 3: tables of their own for statements that change a single row. A collector that knows nothing of them would
-- miss what they hold: that it doesn't find the sequence any more ends its reading. The sequence datawatch.filled stays until
-- all functions that look at it are made anew.
alter sequence datawatch.failed rename to failures;
update datawatch.meta set version = 4;
