set local lock_timeout = '2s';

-- Named ways out with the credentials for them. The secrets are sealed with keys that are not here.
create table connections (
  name            text primary key,
  kind            text not null,
  settings        jsonb not null,
  configured      text[] not null, -- names of the secrets
  sealed          bytea,           -- all of them
  revision        bigint not null default 1,
  disabled_at     timestamptz,
  disabled_reason text not null default '',
  created_at      timestamptz not null,
  updated_at      timestamptz not null,
  updated_by      text not null default ''
);
