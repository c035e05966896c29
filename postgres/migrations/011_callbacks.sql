set local lock_timeout = '2s';

-- Where the answers to actions come in that are given later. Of the token in the address only a digest
-- is kept. Each attempt of a visit has its own.
create table callbacks (
  digest        bytea primary key,
  enrollment_id uuid not null references enrollments on delete cascade,
  step          text not null,
  visit         int not null,
  created_at    timestamptz not null,
  answer        jsonb,
  answered_at   timestamptz,
  used_at       timestamptz -- when the visit ended with it
);
create index callbacks_visit on callbacks (enrollment_id, step, visit);
