set local lock_timeout = '2s';

alter table enrollments add held_until timestamptz; -- when one that was held was approved or ended; null: never held, or held still
update enrollments set held_until = ended_at where rejected;
