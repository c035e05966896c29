set local lock_timeout = '2s';

-- Waits, and actions that come too late.
alter table visits drop constraint visits_status_check;
alter table visits add constraint visits_status_check
  check (status in ('running', 'waiting', 'held', 'done', 'failed', 'stopped', 'skipped'));
alter table visits
  add seq    bigint,      -- of a wait: what happens to the user counts from here on
  add due_at timestamptz; -- of an action that says how late it may begin: when it was to

alter table enrollments
  add position     jsonb,                          -- where it begins in Temporal, where that is not at the beginning
  add attempt      int not null default 0,         -- how often it was begun anew after a failure
  add fast_forward boolean not null default false; -- Temporal skips the time that it waits

alter table commands drop constraint commands_kind_check;
alter table commands add constraint commands_kind_check check (kind in ('unenroll', 'resume', 'wake'));

-- What operators and publications wanted of enrollments besides their program. Kept for ever.
create table interventions (
  id            bigint generated always as identity primary key,
  enrollment_id uuid not null references enrollments on delete cascade,
  kind          text not null check (kind in ('unenroll', 'skip', 'retry', 'jump', 'migrate')),
  step          text not null default '', -- that it was in
  visit         int not null default 0,
  target        text not null default '', -- of a jump
  version       int,                      -- of a migration
  mapping       jsonb,
  landing       jsonb,                    -- of a migration: where it went on
  actor         text not null default '', -- who
  reason        text not null default '', -- and why
  at            timestamptz not null,
  outcome       text not null default ''  -- 'done', or why nothing came of it; '': not yet
);
create index interventions_enrollment on interventions (enrollment_id, id);
