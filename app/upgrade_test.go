package app_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
)

// nextSchema is what a next version may do to the database while this one runs: every table gets a column
// that this one knows nothing of, and there are new tables and indexes.
const nextSchema = `
do $$ declare t text; begin
  for t in select tablename from pg_tables where schemaname = 'public' and tablename <> 'schema_version' loop
    execute format('alter table %I add later text, add counted int not null default 0', t);
  end loop;
end $$;
create table afterwards (id bigint primary key, user_id text references users on delete cascade);
create index enrollments_later on enrollments (later) where later is not null;
update schema_version set version = version + 1`

func TestBinaryWorksOnTheSchemaOfTheNextVersion(t *testing.T) {
	t.Parallel()
	s, serve := deployed(t)
	worker := s.process("worker")
	s.publish(`
name: upgrade
triggers: [{ event: signed_up }, { filter: { property: job_title, op: equals, value: lead } }]
enroll: { again: every_trigger }
steps:
  - { id: wait, delay: 1s }
  - { id: team, branch: [{ if: { property: job_title, op: known }, steps: [{ id: set, action: set_property, with: { property: skills, append: go } }] }, { else: true }] }
  - { id: reply, wait_for: { event: replied, at_most: 1h } }
  - { id: tell, action: notify, with: { to: "{{ user.id }}", text: through } }
`)
	pass := func(user string) {
		t.Helper()
		s.put(user, properties{"job_title": "lead"})
		s.wantStep("upgrade", user, "reply")
		s.event("replied", user)
		e := s.wantStatus("upgrade", user, automation.Completed)
		require.Equal(t, []string{"wait 1 done", "team 1 done", "set 1 done", "reply 1 done", "tell 1 done"}, s.steps(e.ID))
		s.must("GET", "/v1/enrollments/"+e.ID, nil)
		s.must("GET", "/v1/workflows/upgrade/explain?user="+user, nil)
	}
	pass("u_before")

	s.exec(nextSchema)

	pass("u_while")
	for _, p := range []*process{serve, worker} {
		p.signal()
		p.wantExit()
		p.start()
	}
	pass("u_after")
	s.must("DELETE", "/v1/users/u_before", nil)
}

func TestMigrateOfAnOlderBinarySaysWhatIsTheMatter(t *testing.T) {
	t.Parallel()
	s, _ := deployed(t)
	s.exec(nextSchema)
	cmd := exec.CommandContext(s.ctx, binary.path, "migrate")
	cmd.Env = append(os.Environ(), "DATABASE_URL="+s.config.DatabaseURL, "TEMPORAL_ADDRESS="+s.config.Temporal.HostPort)

	said, err := cmd.CombinedOutput()

	require.Error(t, err)
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Regexp(t, `^rollcall: the database has schema \d+, from a newer version, and this binary brings databases to \d+: nothing was changed`, string(said))
}
