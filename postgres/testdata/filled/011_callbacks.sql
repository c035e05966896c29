insert into callbacks (digest, enrollment_id, step, visit, created_at) values
  ('\x01', '00000000-0000-0000-0000-000000000002', 'wait', 1, '2026-01-03');
