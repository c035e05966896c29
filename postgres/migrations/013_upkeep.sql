set local lock_timeout = '2s';

-- When the last publication was over. What waited for it is dated after it.
alter table publication add ended_at timestamptz not null default '-infinity';

-- What a request with an idempotency key made that must not be made twice, noted with it; its answer may get
-- lost after that.
alter table idempotency add made text;

-- A publication writes one membership for each user, while nobody else can write: to look up the user and
-- the version of each takes two thirds of that time. Versions stay for ever, and a user's memberships are
-- deleted with the user.
alter table memberships drop constraint memberships_definition_version_fkey, drop constraint memberships_user_id_fkey;

-- How a visit stands changes all the time; an index that says nothing of it lets PostgreSQL write the new row
-- beside the old one and leave the indexes alone.
drop index visits_waiting;
create index visits_waits on visits (enrollment_id) where kind in ('delay', 'wait_for');
alter table visits set (fillfactor = 85);
alter table enrollments set (fillfactor = 85);
