insert into hooks (name, mapping, digest, created_at, updated_at) values ('payroll', '{"user": {"id": "/id"}}', '\x01', '2026-01-01', '2026-01-01');
