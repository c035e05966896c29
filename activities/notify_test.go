package activities_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/postgres"
	"rollcall/workflows"
)

// people are a small organisation: Ada is in support, and Bob is her manager.
func people(b *bench) {
	b.Helper()
	b.user("bob", properties{"first_name": "Bob", "email": "bob@example.com"})
	b.user("ada", properties{"first_name": "Ada", "email": "ada@example.com", "main_team": "support", "manager": "bob"})
	b.user("cleo", properties{"first_name": "Cleo", "email": "cleo@example.com", "teams": []any{"support", "sales"}})
	b.user("dan", properties{"first_name": "Dan", "email": "dan@example.com", "main_team": "support"})
	b.user("eve", properties{"first_name": "Eve", "email": "eve@example.com", "main_team": "support", "status": "deactivated"})
	b.user("finn", properties{"first_name": "Finn"})
}

func TestNotifyTellsEveryKindOfRecipient(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	people(b)
	for i, tt := range []struct {
		name, to string
		want     []any
	}{
		{"a user", `"cleo"`, []any{"cleo"}},
		{"a user with the prefix", `"user:cleo"`, []any{"cleo"}},
		{"a user of a template", `"{{ user.manager }}"`, []any{"bob"}},
		{"the user who is enrolled", `"{{ user.id }}"`, []any{"ada"}},
		{"several users", `["cleo", "bob", "cleo"]`, []any{"cleo", "bob"}},
		{"several users in one text", `"cleo, bob,"`, []any{"cleo", "bob"}},
		{"the manager", `"manager"`, []any{"bob"}},
		{"a team, without who is enrolled and who is deactivated", `"team:support"`, []any{"cleo", "dan"}},
		{"a team and one of its members", `["dan", "team:support", "manager"]`, []any{"dan", "cleo", "bob"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := b.in(t)
			enrollment := b.step(fmt.Sprintf("w%d", i), "ada", "notify", `{"to": `+tt.to+`, "text": "Hello from {{ user.first_name }}"}`)

			v := b.do("notify", enrollment)

			require.Equal(t, map[string]any{"users": tt.want}, v.Output)
			var told []any
			for _, id := range tt.want {
				user, _ := id.(string)
				require.Equal(t, 1, b.count(`
					select count(*) from notifications where enrollment_id = $1 and user_id = $2 and text = 'Hello from Ada'`, enrollment, user))
				told = append(told, id)
			}
			require.Len(t, told, b.count(`select count(*) from notifications where enrollment_id = $1`, enrollment))
		})
	}
}

func TestNotifyFailsForGoodWhereThereIsNobody(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	people(b)
	for i, tt := range []struct{ name, user, to, message string }{
		{"an unknown user", "ada", `"zoe"`, `there is no user "zoe" to notify`},
		{"an unknown user among others", "ada", `["cleo", "zoe"]`, `there is no user "zoe" to notify`},
		{"an unknown user with the prefix", "ada", `"user:zoe"`, `there is no user "zoe" to send to`},
		{"an address", "ada", `"cleo@example.com"`, `there is no user "cleo@example.com" to notify`},
		{"a user without a manager", "finn", `"manager"`, "the user has no manager"},
		{"a team without members", "ada", `"team:nobody"`, `team "nobody" has no active members to send to`},
		{"a template without a result", "ada", `"{{ user.job_title }}"`, "to is required"},
		{"a comma", "ada", `","`, "there is nobody to send to (,)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := b.in(t)
			enrollment := b.step(fmt.Sprintf("w%d", i), tt.user, "notify", `{"to": `+tt.to+`, "text": "x"}`)

			b.failsForGood("notify", enrollment, tt.message)

			require.Zero(t, b.count(`select count(*) from notifications where enrollment_id = $1`, enrollment))
		})
	}
}

func TestManagerMayHaveAnIDThatLooksLikeAnAddress(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("x@1", nil)
	b.user("ada", properties{"manager": "x@1"})

	require.Equal(t, map[string]any{"users": []any{"x@1"}}, b.do("notify", b.step("w", "ada", "notify", `{"to": "manager", "text": "x"}`)).Output)
	require.Equal(t, map[string]any{"users": []any{"x@1"}}, b.do("notify", b.step("w2", "ada", "notify", `{"to": "user:x@1", "text": "x"}`)).Output)
}

func TestNotifyTwiceForOneVisitTellsOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	people(b)
	enrollment := b.step("w", "ada", "notify", `{"to": "team:support", "text": "x"}`)

	b.do("notify", enrollment)
	b.do("notify", enrollment)
	require.Equal(t, 2, b.count(`select count(*) from notifications`))

	_, err := b.try("notify", workflows.StepInput{EnrollmentID: enrollment, Step: "it", Visit: 2})
	require.NoError(t, err)
	require.Equal(t, 4, b.count(`select count(*) from notifications`), "another visit is another effect")
}

func TestNotifyIsCheckedAtPublication(t *testing.T) {
	t.Parallel()
	require.Equal(t, automation.Problems{
		{Pointer: "/to", Code: "required", Message: "to is required"},
		{Pointer: "/text", Code: "required", Message: "text is required"},
	}, check(t, "notify", `{"to": ["", ""]}`))
	require.Equal(t, problem("/to/1", "wrong-type", "must be a text, is a number"), check(t, "notify", `{"to": ["ada", 1], "text": "x"}`))
	require.Equal(t, problem("/to", "wrong-type", "must be a list, is a number"), check(t, "notify", `{"to": 1, "text": "x"}`))
	require.Empty(t, check(t, "notify", `{"to": ["", "ada"], "text": "x"}`))
}

func TestManyNotificationsAtOnceDoNotWaitForOneAnother(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	people(b)
	enrollments := make([]string, 8)
	for i := range enrollments {
		enrollments[i] = b.step(fmt.Sprintf("w%d", i), "ada", "notify", `{"to": ["manager", "team:support"], "text": "x"}`)
	}
	narrow, err := postgres.Open(t.Context(), postgres.Config{URL: b.url, Catalog: catalog(), MaxConns: 2})
	require.NoError(t, err)
	t.Cleanup(narrow.Close)
	b.deps.DB = narrow
	done := make(chan error, len(enrollments))
	for _, id := range enrollments {
		one := b.in(t)
		go func() {
			_, err := one.activity.ExecuteActivity("notify", workflows.StepInput{EnrollmentID: id, Step: "it", Visit: 1})
			done <- err
		}()
	}
	for range enrollments {
		require.NoError(t, <-done)
	}
	require.Equal(t, 24, b.count(`select count(*) from notifications`))
}

func TestNobodyIsToldWhereTheUserIsAloneInTheTeam(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user("solo", properties{"main_team": "island", "email": "solo@example.com"})

	told := b.do("notify", b.step("w", "solo", "notify", `{"to": "team:island", "text": "x"}`))
	mailed := b.do("send_email", b.step("v", "solo", "send_email", `{"to": "team:island", "subject": "x", "body": "x"}`))

	require.Equal(t, "nobody else in the team", told.What)
	require.Equal(t, "nobody else in the team", mailed.What)
	require.Zero(t, b.count(`select count(*) from notifications`))
	require.Empty(t, b.sent("email"))
}

func TestAttemptsOfAnEffectInsideAreCounted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	people(b)
	id := b.step("w", "ada", "notify", `{"to": "zoe", "text": "x"}`)

	for range 2 {
		require.Error(t, b.fails("notify", id))
	}

	v := b.visit(id, "it")
	require.Equal(t, "notify", v.Kind)
	require.Equal(t, 2, v.Attempts)
	require.Equal(t, automation.StepFailed, v.Status)
}
