set local lock_timeout = '2s';

-- A run is a backfill, or one firing of a schedule.
alter table runs drop constraint runs_kind_check;
alter table runs add constraint runs_kind_check check (kind in ('backfill', 'schedule'));
alter table runs drop constraint runs_status_check;
alter table runs add constraint runs_status_check check (status in ('running', 'paused', 'completed', 'aborted', 'failed', 'missed'));
alter table runs
  add trigger     int,                        -- position of the schedule trigger
  add nominal     text,                       -- the local time of the firing, its identity
  add due_at      timestamptz,                -- when the firing was due
  add by_hand     boolean not null default false,
  add workflow_id text not null default '';   -- of the Temporal workflow that has it, or will have it
update runs set workflow_id = 'rollcall/' || kind || '/' || definition || '/' || version || '/' || attempt;
create unique index runs_firing on runs (definition, trigger, nominal) where not by_hand;

-- Whom a firing concerns, as of its moment, until they are decided.
create table run_users (
  run_id  uuid not null references runs on delete cascade,
  user_id text not null,
  primary key (run_id, user_id)
);
create index run_users_user on run_users (user_id);

-- One row per schedule trigger of a version that is or was live: how far its firings are accounted
-- for, and what Temporal was told.
create table schedules (
  definition text not null,
  version    int not null,
  trigger    int not null,
  live_from  timestamptz not null,
  live_until timestamptz,                       -- null: it is live
  accounted  timestamptz not null,              -- every firing that was due by then has a run
  told       text not null default '',          -- what Temporal was told last, as a hash; '': nothing yet
  paused     boolean not null default false,    -- in Temporal, when it was looked at last
  note       text not null default '',          -- what Temporal says about it
  looked_at  timestamptz,
  primary key (definition, version, trigger),
  foreign key (definition, version) references versions on delete cascade
);
create index schedules_open on schedules (definition) where live_until is null;

-- Enrollments of a run wait in a lane of their own; one process at a time offers them to Temporal.
alter table enrollments add offered_at timestamptz;
create index enrollments_of_runs on enrollments (created_at) where status = 'pending' and run_id is not null;
create index enrollments_run_started on enrollments (run_id) where started_at is not null;
create index runs_workflow on runs (workflow_id);
create unique index runs_by_hand on runs (workflow_id) where by_hand;
alter table schedules add told_at timestamptz; -- what Temporal says when it was updated last, by us
