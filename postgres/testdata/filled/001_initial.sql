insert into users (id, properties, created_at, updated_at) values
  ('u_1', '{"email": "ada@example.com", "teams": ["support"], "status": "active"}', '2026-01-01', '2026-01-02'),
  ('u_2', '{}', '2026-01-01', '2026-01-01');
insert into changes (user_id, property, old, new, at, source) values ('u_1', 'email', null, '"ada@example.com"', '2026-01-01', 'api');
insert into events (id, user_id, name, occurred_at, received_at) values ('e_1', 'u_1', 'signed_up', '2026-01-01', '2026-01-01');
insert into work_items (user_id, epoch, properties, changed, events) values ('u_1', 1, '{}', '{}', '[]');
insert into definitions (name, title, status, live_version, draft, draft_hash, created_at, updated_at) values
  ('greet', 'Greet', 'live', 2, '{"name": "greet"}', 'h2', '2026-01-01', '2026-01-03'),
  ('gone', 'Gone', 'archived', 0, '{"name": "gone"}', 'h1', '2026-01-01', '2026-01-05');
insert into versions (definition, number, document, hash, published_at, live_from, live_until) values
  ('greet', 1, '{"name": "greet", "triggers": [{"manual": true}], "steps": [{"id": "wait", "delay": "1h"}]}', 'h1', '2026-01-01', 1, 2),
  ('greet', 2, '{"name": "greet", "triggers": [{"manual": true}], "steps": [{"id": "wait", "delay": "2h"}]}', 'h2', '2026-01-03', 2, null),
  ('gone', 1, '{"name": "gone", "triggers": [{"manual": true}], "steps": [{"id": "end", "exit": {}}]}', 'h1', '2026-01-01', 1, 3);
insert into memberships (definition, version, trigger, user_id, since) values ('greet', 2, 0, 'u_1', '2026-01-03');
insert into enrollments (id, definition, version, user_id, ordinal, status, trigger, step, created_at, started_at, ended_at) values
  ('00000000-0000-0000-0000-000000000001', 'greet', 1, 'u_1', 1, 'completed', 'request', 'wait', '2026-01-01', '2026-01-01', '2026-01-02'),
  ('00000000-0000-0000-0000-000000000002', 'greet', 2, 'u_1', 2, 'active', 'request', 'wait', '2026-01-03', '2026-01-03', null),
  ('00000000-0000-0000-0000-000000000003', 'greet', 2, 'u_2', 1, 'held', 'request', '', '2026-01-03', null, null);
insert into visits (enrollment_id, step, visit, kind, status, started_at, finished_at) values
  ('00000000-0000-0000-0000-000000000001', 'wait', 1, 'delay', 'done', '2026-01-01', '2026-01-02'),
  ('00000000-0000-0000-0000-000000000002', 'wait', 1, 'delay', 'waiting', '2026-01-03', null);
insert into decisions (definition, version, user_id, at, trigger, outcome, enrollment_id) values
  ('greet', 1, 'u_1', '2026-01-01', -1, 'enrolled', '00000000-0000-0000-0000-000000000001');
insert into commands (enrollment_id, kind) values ('00000000-0000-0000-0000-000000000002', 'resume');
insert into notifications (key, user_id, text, enrollment_id, created_at) values ('k_1', 'u_1', 'hello', '00000000-0000-0000-0000-000000000001', '2026-01-01');
