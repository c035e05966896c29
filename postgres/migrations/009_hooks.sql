set local lock_timeout = '2s';

-- Incoming webhooks. Only digests of their tokens are kept.
create table hooks (
  name            text primary key,
  mapping         jsonb not null, -- what deliveries mean
  digest          bytea not null unique,
  previous_digest bytea unique, -- of the token before the last rotation
  previous_until  timestamptz,  -- how long that is still taken
  created_by      text not null default '',
  created_at      timestamptz not null,
  updated_at      timestamptz not null,
  last_used_at    timestamptz,
  constraint hooks_previous check ((previous_digest is null) = (previous_until is null))
);
