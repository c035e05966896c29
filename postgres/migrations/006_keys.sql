set local lock_timeout = '2s';

-- API keys. Only a digest of the key is kept.
create table api_keys (
  id           text primary key,
  name         text not null,
  digest       bytea not null,
  scopes       text[] not null,
  created_by   text not null default '',
  created_at   timestamptz not null,
  expires_at   timestamptz,
  revoked_at   timestamptz,
  last_used_at timestamptz
);

-- What requests with an Idempotency-Key were answered. A row without a status is being answered.
create table idempotency (
  caller      text not null, -- the id of the API key
  key         text not null,
  route       text not null, -- method and address
  fingerprint bytea not null,
  status      int,
  kind        text not null default '',
  answer      bytea,
  created_at  timestamptz not null,
  primary key (caller, key, route)
);
create index idempotency_age on idempotency (created_at);
