insert into idempotency (caller, key, route, fingerprint, created_at) values ('k_1', 'y', 'POST /v1/events', '\x01', '2026-01-01');
