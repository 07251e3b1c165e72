create trigger queue_changed after insert or update on datawatch.queue for each statement execute function datawatch.queue_changed();
