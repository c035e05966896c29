set local lock_timeout = '2s';

-- Users and what is known about them -----------------------------------------------------------

create table users (
  id         text primary key check (octet_length(id) between 1 and 128),
  properties jsonb not null default '{}' check (jsonb_typeof(properties) = 'object'),
  created_at timestamptz not null,
  updated_at timestamptz not null
);

create table properties (
  name     text primary key,
  label    text not null,
  type     text not null check (type in ('string', 'number', 'bool', 'date', 'datetime', 'enum', 'multi_enum', 'user', 'users')),
  options  text[] not null default '{}',
  "group"  text not null,
  built_in boolean not null default false
);

-- Kept for ever: answers what a value was, and since when.
create table changes (
  id       bigint generated always as identity primary key,
  user_id  text not null references users on delete cascade,
  property text not null,
  old      jsonb, -- null: it was empty
  new      jsonb, -- null: it was cleared
  at       timestamptz not null,
  source   text not null,
  depth    int not null default 0 -- how many enrollments caused one another up to this change
);
create index changes_user on changes (user_id, id);

create table events (
  id          text primary key check (octet_length(id) between 1 and 255), -- the sender's, or ours
  user_id     text not null references users on delete cascade,
  name        text not null,
  occurred_at timestamptz not null,
  received_at timestamptz not null,
  properties  jsonb not null default '{}'
);
create index events_user on events (user_id, occurred_at);

-- One row per ingest transaction and user: what the pump has still to ask the definitions about.
-- Ids of one user's items follow their commit order, because the writer holds the user's row lock.
create table work_items (
  id         bigint generated always as identity primary key,
  user_id    text not null,
  epoch      bigint not null,
  depth      int not null default 0,
  properties jsonb not null,  -- the user as of this moment
  changed    text[] not null, -- names of the properties that changed
  events     jsonb not null,  -- the events of this moment, system events included
  created_at timestamptz not null default clock_timestamp(),
  attempts   int not null default 0,
  not_before timestamptz not null default '-infinity', -- after a failed evaluation
  error      text
);
create index work_items_user on work_items (user_id, id);

-- Definitions ----------------------------------------------------------------------------------

create table definitions (
  name         text primary key check (octet_length(name) between 1 and 64),
  title        text not null,
  status       text not null default 'draft' check (status in ('draft', 'live', 'paused', 'archived')),
  live_version int not null default 0,
  draft        json not null, -- json, not jsonb: it keeps the order of members
  draft_hash   text not null,
  created_at   timestamptz not null,
  updated_at   timestamptz not null,
  constraint definitions_live check ((status in ('live', 'paused')) = (live_version > 0))
);

create table versions (
  definition   text not null references definitions on delete cascade,
  number       int not null check (number > 0),
  document     json not null,
  hash         text not null,
  published_at timestamptz not null,
  live_from    bigint not null, -- the first epoch in which it enrolls
  live_until   bigint,          -- the first epoch in which it does not any more
  primary key (definition, number)
);
create unique index versions_live on versions (definition) where live_until is null;

-- Counts publications. A writer of work items reads it under a shared lock, a publication moves it
-- under the exclusive one, so each item is asked of exactly the versions that were live for it.
create table publication (
  one   boolean primary key default true check (one),
  epoch bigint not null
);
insert into publication (epoch) values (1);

-- Which users a filter trigger holds for. A row means that it holds.
create table memberships (
  definition text not null,
  version    int not null,
  trigger    int not null, -- position among the version's triggers
  user_id    text not null references users on delete cascade,
  since      timestamptz not null,
  primary key (user_id, definition, version, trigger),
  foreign key (definition, version) references versions on delete cascade
);
create index memberships_version on memberships (definition, version);

-- Enrollments ----------------------------------------------------------------------------------

-- The ledger: never pruned, it outlives Temporal's histories.
create table enrollments (
  id            uuid primary key,
  definition    text not null,
  version       int not null,
  user_id       text not null,
  ordinal       int not null check (ordinal > 0),
  status        text not null check (status in ('held', 'pending', 'active', 'completed', 'unenrolled', 'failed')),
  trigger       text not null,
  event         jsonb,             -- the event that enrolled, if one did
  depth         int not null default 0,
  step          text not null default '',
  waiting_until timestamptz,
  reason        text not null default '',
  created_at    timestamptz not null,
  handed_at     timestamptz,       -- when Temporal last took the start; null: not yet
  started_at    timestamptz,       -- when the first step began
  ended_at      timestamptz,
  checked_at    timestamptz,       -- when Temporal was last asked whether it has it
  foreign key (definition, version) references versions,
  constraint enrollments_ordinal unique (definition, user_id, ordinal),
  constraint enrollments_ended check ((ended_at is not null) = (status in ('completed', 'unenrolled', 'failed')))
);
-- Not "where status in …": a statement that finds a live enrollment by its id would be answered from
-- this index, by reading all of it.
create unique index enrollments_one_live on enrollments (definition, user_id) where ended_at is null;
create index enrollments_user on enrollments (user_id);
create index enrollments_listed on enrollments (created_at desc, id desc);
create index enrollments_live on enrollments (coalesce(checked_at, created_at)) where ended_at is null;
create index enrollments_listed_of on enrollments (definition, status, created_at desc, id desc);
create index enrollments_to_start on enrollments (created_at) where status = 'pending';

-- One row per visit of a step: the timeline, the gate of every action and the record of its effect.
create table visits (
  enrollment_id uuid not null references enrollments on delete cascade,
  step          text not null,
  visit         int not null,
  kind          text not null,
  status        text not null check (status in ('running', 'waiting', 'held', 'done', 'failed', 'stopped')),
  what          text not null default '',
  attempts      int not null default 1,
  until         timestamptz,
  output        jsonb,
  error         text not null default '',
  started_at    timestamptz not null,
  finished_at   timestamptz,
  primary key (enrollment_id, step, visit)
);

-- Why a user was or was not enrolled when a trigger matched.
create table decisions (
  id            bigint generated always as identity primary key,
  definition    text not null,
  version       int not null,
  user_id       text not null,
  at            timestamptz not null,
  trigger       int not null, -- position; -1 for a request
  outcome       text not null check (outcome in ('enrolled', 'refused')),
  reason        text not null default '',
  enrollment_id uuid
);
create index decisions_user on decisions (user_id, definition, at);

-- What Temporal has still to be told about an enrollment.
create table commands (
  id            bigint generated always as identity primary key,
  enrollment_id uuid not null references enrollments on delete cascade,
  kind          text not null check (kind in ('unenroll', 'resume')),
  created_at    timestamptz not null default clock_timestamp(),
  attempts      int not null default 0,
  not_before    timestamptz not null default '-infinity'
);

create table notifications (
  id            bigint generated always as identity primary key,
  key           text not null unique, -- of the action that wrote it
  user_id       text not null,
  text          text not null,
  enrollment_id uuid references enrollments on delete set null,
  created_at    timestamptz not null
);
create index notifications_user on notifications (user_id, id desc);
