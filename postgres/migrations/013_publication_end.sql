set local lock_timeout = '2s';

-- When the last publication was over. What waited for it is dated after it.
alter table publication add ended_at timestamptz not null default '-infinity';
