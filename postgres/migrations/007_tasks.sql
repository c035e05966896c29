set local lock_timeout = '2s';

create table tasks (
  id            bigint generated always as identity primary key,
  key           text not null unique, -- of the action that wrote it
  title         text not null,
  text          text not null default '',
  assignee      text not null references users on delete cascade,
  user_id       text not null references users on delete cascade, -- whom the enrollment is about
  enrollment_id uuid references enrollments on delete set null,
  due_at        timestamptz,
  created_at    timestamptz not null,
  done_at       timestamptz
);
create index tasks_assignee on tasks (assignee, id desc);
create index tasks_user on tasks (user_id);
