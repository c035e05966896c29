insert into run_users (run_id, user_id) values ('00000000-0000-0000-0000-00000000000a', 'u_2');
insert into schedules (definition, version, trigger, live_from, accounted) values ('greet', 2, 0, '2026-01-03', '2026-01-03');
