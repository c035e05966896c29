set local lock_timeout = '2s';

-- Counts what happens to users. Changes, events and work items draw from it under the user's row lock,
-- so of one user's the later one has the higher number, and an item is asked of exactly what has a lower
-- number than its own. Where somebody asks about passages through workflows, each is followed by an item
-- that has seen it.
create sequence moments;
select setval('moments', 1 + greatest((select max(id) from changes), (select max(id) from work_items), 1));

alter table changes alter id drop identity;
alter table changes alter id set default nextval('moments');
create index changes_property on changes (user_id, property, id);

alter table events add seq bigint not null default 0;
alter table events alter seq set default nextval('moments');
create index events_counted on events (user_id, name, occurred_at desc);

alter table work_items alter id drop identity;
alter table work_items alter id set default nextval('moments');
alter table work_items
  add at        timestamptz not null default now(), -- the moment that the item tells of
  add workflows text[] not null default '{}',       -- workflows that the user entered or left
  add asks      jsonb not null default '[]';        -- what time alone may have changed: see the column due

-- Conditions on workflows, approval, and the flip clock of those who are enrolled.
alter table enrollments
  add seq       bigint not null default 0,
  add ended_seq bigint,
  add rejected  boolean not null default false, -- held, and not approved: counts as never enrolled
  add due       timestamptz,                    -- when time alone may next make the enrollment end
  add run_id    uuid;                           -- the run that enrolled, if one did
alter table enrollments alter seq set default nextval('moments');
update enrollments set ended_seq = 0 where ended_at is not null;
create index enrollments_due on enrollments (due) where due is not null and ended_at is null;
create index enrollments_hour on enrollments (definition, created_at);
create index enrollments_held on enrollments (definition, created_at, id) where status = 'held';

-- A row for each user for whom a filter trigger holds, or whose answer time alone may change.
alter table memberships
  add holds boolean not null default true,
  add due   timestamptz; -- when time alone may next change the answer
create index memberships_due on memberships (due) where due is not null;
drop index memberships_version;
create index memberships_version on memberships (definition, version, user_id) where holds;

alter table versions add retired_at timestamptz; -- when the next one was published, or the definition archived
update versions v set retired_at = coalesce(
  (select n.published_at from versions n where n.definition = v.definition and n.number = v.number + 1),
  (select d.updated_at from definitions d where d.name = v.definition))
where live_until is not null;

alter table decisions drop constraint decisions_outcome_check;
alter table decisions add constraint decisions_outcome_check check (outcome in ('enrolled', 'held', 'refused'));

-- One row per backfill: who was to be enrolled at once, and how far it came.
create table runs (
  id         uuid primary key,
  definition text not null,
  version    int not null,
  kind       text not null check (kind in ('backfill')),
  status     text not null check (status in ('running', 'paused', 'completed', 'aborted', 'failed')),
  matched    int not null,
  enrolled   int not null default 0,
  held       int not null default 0,
  skipped    jsonb not null default '{}', -- how many, by reason
  per_second int not null,
  position   text not null default '',    -- the last user that was decided
  parked     boolean not null default false, -- Temporal waits for a word to go on
  attempt    int not null default 0,      -- how often Temporal was given the run
  reason     text not null default '',
  created_at timestamptz not null,
  handed_at  timestamptz,
  updated_at timestamptz not null,
  ended_at   timestamptz,
  foreign key (definition, version) references versions
);
create index runs_listed on runs (definition, created_at desc, id desc);
create index runs_open on runs (status) where ended_at is null;
create index runs_to_tell on runs (id) where handed_at is null and ended_at is null or parked;
