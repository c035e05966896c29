insert into api_keys (id, name, digest, scopes, created_at) values ('k_1', 'crm', '\x01', '{users:read}', '2026-01-01');
insert into idempotency (caller, key, route, fingerprint, created_at) values ('k_1', 'x', 'POST /v1/events', '\x01', '2026-01-01');
