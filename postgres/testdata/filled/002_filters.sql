insert into enrollments (id, definition, version, user_id, ordinal, status, trigger, created_at, ended_at, ended_seq, rejected) values
  ('00000000-0000-0000-0000-000000000004', 'greet', 2, 'u_2', 2, 'unenrolled', 'request', '2026-01-03', '2026-01-04', 7, true);
insert into runs (id, definition, version, kind, status, matched, per_second, attempt, created_at, updated_at) values
  ('00000000-0000-0000-0000-00000000000a', 'greet', 2, 'backfill', 'running', 10, 5, 1, '2026-01-03', '2026-01-03');
