package activities_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
)

// What ends while its user is being deleted waits for that, and then says nothing of the user.
func TestAnActionThatEndsDuringADeletionLeavesNothingOfTheUser(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(b *bench, ref postgres.VisitRef) error{
		"is done": func(b *bench, ref postgres.VisitRef) error {
			_, err := b.db.FinishVisit(b.Context(), ref, postgres.Done{What: "greeted Ada", Output: map[string]any{"name": "Ada"}})
			return err
		},
		"fails": func(b *bench, ref postgres.VisitRef) error {
			return b.db.FailVisit(b.Context(), ref, postgres.Failure{Kind: "send_webhook", Text: "no Ada"})
		},
		"fails, and the flow goes on": func(b *bench, ref postgres.VisitRef) error {
			return b.db.NoteFailure(b.Context(), ref, "no Ada")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.user("u_ada", properties{"first_name": "Ada"})
			ref := postgres.VisitRef{EnrollmentID: b.step("w", "u_ada", "send_webhook", `{"url": "`+b.world.WebhookURL("x")+`"}`), Step: "it", Visit: 1}
			_, err := b.db.BeginVisit(t.Context(), ref, "send_webhook")
			require.NoError(t, err)
			// The deletion as it stands just before its commit: everything of the user is gone or empty.
			conn, err := pgx.Connect(t.Context(), b.url)
			require.NoError(t, err)
			deletion, err := conn.Begin(t.Context())
			require.NoError(t, err)
			for _, sql := range []string{
				`select from users where id = 'u_ada' for update`,
				`update visits set what = '', error = '', output = null`, `delete from users where id = 'u_ada'`,
			} {
				_, err = deletion.Exec(t.Context(), sql)
				require.NoError(t, err)
			}
			ended := make(chan error, 1)
			go func() { ended <- end(b, ref) }()
			require.Eventually(t, func() bool {
				var waits bool
				b.row([]any{&waits}, `select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')`)
				return waits
			}, 10*time.Second, 10*time.Millisecond)

			require.NoError(t, deletion.Commit(t.Context()))
			require.NoError(t, conn.Close(t.Context()))

			require.NoError(t, <-ended)
			v := b.visit(ref.EnrollmentID, "it")
			require.Equal(t, automation.Visit{}, automation.Visit{What: v.What, Error: v.Error, Output: v.Output})
		})
	}
}
