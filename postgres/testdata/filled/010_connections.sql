insert into connections (name, kind, settings, configured, created_at, updated_at) values ('office', 'webhook', '{}', '{}', '2026-01-01', '2026-01-01');
