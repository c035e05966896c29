set local lock_timeout = '2s';

create index visits_waiting on visits (enrollment_id) where status = 'waiting';
create index interventions_migrating on interventions (version) where kind = 'migrate' and outcome = '';
create index commands_due on commands (not_before, id);
