insert into interventions (enrollment_id, kind, step, visit, actor, at) values
  ('00000000-0000-0000-0000-000000000002', 'skip', 'wait', 1, 'ada', '2026-01-03');
