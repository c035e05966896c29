package app_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/devstack/world"
	"rollcall/filter"
)

func onboarding() automation.Property {
	return automation.Property{Name: "onboarding", Label: "Onboarding", Type: filter.Enum, Options: []string{"welcomed", "done"}, Group: "custom"}
}

func TestWelcomeFlowMailsWaitsBranchesPostsAndSetsAProperty(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.declare(onboarding())
	s.publish(strings.Replace(s.example("welcome.yaml"), "delay: 1m", "delay: 1s", 1))

	s.put("u_42", properties{"first_name": "Ada", "email": "ada@example.com", "teams": []string{"support"}})

	mail := s.wantItem("email", func(i world.Item) bool { return i.To[0] == "ada@example.com" })
	require.Equal(t, "Welcome, Ada!", mail.Subject)
	message := s.wantItem("slack", func(world.Item) bool { return true })
	require.Equal(t, "#support", message.Channel)
	require.Equal(t, "Say hello to Ada!", message.Text)
	require.GreaterOrEqual(t, message.At.Sub(mail.At), time.Second-50*time.Millisecond)
	e := s.wantStatus("welcome", "u_42", automation.Completed)
	user, err := s.db.User(s.ctx, "u_42")
	require.NoError(t, err)
	require.Equal(t, "welcomed", user.Properties["onboarding"])

	answer := s.must("GET", "/v1/enrollments/"+e.ID, nil)
	var steps []string
	for _, v := range answer["timeline"].([]any) {
		require.Equal(t, "done", v.(map[string]any)["status"], v)
		steps = append(steps, v.(map[string]any)["step"].(string))
	}
	require.Equal(t, []string{"hello", "settle", "team", "tell_support", "done"}, steps)
	require.Equal(t, "welcome/u_42/1", answer["temporal_workflow_id"])
	s.keepHistory(e.TemporalWorkflowID, "welcome")
}

func TestTeamIsToldWhenAUserIsDeactivated(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.example("deactivated.yaml"))
	s.put("u_1", properties{"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com"})

	s.patch("u_1", properties{"status": "deactivated"})

	message := s.wantItem("slack", func(world.Item) bool { return true })
	require.Equal(t, "#it", message.Channel)
	require.Equal(t, "*Ada Lovelace* (u_1) was deactivated. Please collect the laptop.", message.Text)
	hook := s.wantItem("webhook", func(world.Item) bool { return true })
	require.True(t, *hook.Verified)
	var body map[string]any
	require.NoError(t, json.Unmarshal(hook.Body, &body))
	require.Equal(t, "u_1", body["user_id"])

	e := s.wantStatus("deactivated", "u_1", automation.Completed)
	require.Equal(t, automation.EffectKey(e.ID, "close_accounts", 1), hook.WebhookID)
	s.patch("u_1", properties{"status": "deactivated"})
	s.settled()
	require.Len(t, s.enrollments("deactivated", "u_1"), 1, "writing an equal value triggers nothing")

	s.patch("u_1", properties{"status": "active"})
	s.patch("u_1", properties{"status": "deactivated"})
	s.until("the second deactivation is told", func() bool { return len(s.items("slack")) == 2 })
}

func TestTeamMembersSeeTheOldAndTheNewValue(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.example("details-changed.yaml"))
	s.put("u_1", properties{"first_name": "Grace", "email": "grace@example.com", "main_team": "support"})
	s.put("u_2", properties{"first_name": "Left", "email": "left@example.com", "main_team": "support", "status": "deactivated"})
	s.put("u_3", properties{"first_name": "Ada", "email": "ada@example.com", "main_team": "support", "job_title": "Engineer <b>"})

	s.patch("u_3", properties{"job_title": "Lead", "skills": []string{"go"}})

	mail := s.wantItem("email", func(world.Item) bool { return true })
	require.Equal(t, []string{"grace@example.com"}, mail.To, "active members of the team, without the user")
	require.Contains(t, mail.HTML, "<td>job_title</td><td>Engineer &lt;b&gt;</td><td>Lead</td>")
	answer := s.must("GET", "/v1/notifications?user=u_1", nil)
	require.Contains(t, answer["items"].([]any)[0].(map[string]any)["text"], "job_title was “Engineer <b>” and is “Lead”.")

	s.wantStatus("details-changed", "u_3", automation.Completed)
	s.patch("u_3", properties{"skills": []string{"go", "sql"}})
	s.settled()
	require.Len(t, s.enrollments("details-changed", "u_3"), 1, "skills are not among the details")
}

func TestAlertWhenAMailboxOrCalendarIsDisconnected(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.example("connection-lost.yaml"))
	s.put("u_1", properties{"first_name": "Ada", "email": "ada@example.com", "email_status": "connected", "calendar_status": "connected"})

	s.patch("u_1", properties{"calendar_status": "disconnected"})

	mail := s.wantItem("email", func(world.Item) bool { return true })
	require.Equal(t, "Hello Ada, email: connected, calendar: disconnected.\n", mail.Text)
	s.wantStatus("connection-lost", "u_1", automation.Completed)
	s.patch("u_1", properties{"job_title": "Engineer"})
	s.settled()
	require.Len(t, s.enrollments("connection-lost", "u_1"), 1, "it held before: no edge")

	s.patch("u_1", properties{"email_status": "disconnected"})
	s.until("the other edge enrolls too", func() bool { return len(s.enrollments("connection-lost", "u_1")) == 2 })
}

func TestRowIsAddedToASheetForEachNewUser(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.publish(s.example("new-user-sheet.yaml"))

	s.put("u_1", properties{"first_name": "=1+2", "last_name": "Lovelace", "email": "ada@example.com", "main_team": "support"})

	row := s.wantItem("sheet_row", func(world.Item) bool { return true })
	require.Equal(t, "staff-2027", row.Spreadsheet)
	require.Equal(t, "=1+2 Lovelace", row.Values["Name"], "written as it is, not as a formula")
	require.Equal(t, "support", row.Values["Team"])
}

func TestPublishingDoesNotEnrollThoseForWhomTheFilterHoldsUnlessAsked(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.put("u_1", properties{"first_name": "Ada", "email": "a@example.com", "email_status": "disconnected"})
	s.settled()
	s.publish(s.example("connection-lost.yaml"))
	s.patch("u_1", properties{"job_title": "x"})
	s.settled()
	require.Empty(t, s.enrollments("connection-lost", "u_1"))

	p := s.must("POST", "/v1/workflows/connection-lost/publish", map[string]any{"existing": "enroll"})

	require.Equal(t, 1.0, p["matching"])
	require.Contains(t, p, "run")
	s.wantStatus("connection-lost", "u_1", automation.Completed)
}
