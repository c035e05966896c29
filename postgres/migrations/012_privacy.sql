set local lock_timeout = '2s';

-- What others were told of a user is found when the user is deleted.
create index notifications_enrollment on notifications (enrollment_id);

-- Temporal is not told reasons in somebody's own words.
alter table commands add private boolean not null default false;

-- Of the keys of requests only digests are kept, and answers sealed with the requests themselves. Those
-- from before cannot be asked for any more.
delete from idempotency;
