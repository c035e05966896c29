insert into tasks (key, title, assignee, user_id, enrollment_id, created_at) values
  ('k_2', 'Call', 'u_2', 'u_1', '00000000-0000-0000-0000-000000000001', '2026-01-01');
