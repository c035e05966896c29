package api

import (
	"cmp"
	"context"
	"net/http"
	"net/url"

	"rollcall/automation"
	"rollcall/postgres"
)

type enrollIn struct {
	WorkflowPath
	Body struct {
		UserID      string `json:"user_id" doc:"Whom to enroll."`
		FastForward bool   `json:"fast_forward,omitempty" doc:"Let Temporal skip the time that it waits. Only where a developer tries it: the server must allow it."`
	}
}

// EnrollmentOut is one enrollment.
type EnrollmentOut struct {
	Status int
	Body   struct {
		automation.Enrollment
		TemporalURL string             `json:"temporal_url,omitempty" doc:"The enrollment in Temporal's Web UI."`
		Timeline    []automation.Visit `json:"timeline,omitempty" doc:"The steps it entered, in order."`
		InFlight    []string           `json:"in_flight,omitempty" doc:"Steps that ran when it was taken out; they may still finish."`

		Interventions []postgres.Intervention `json:"interventions,omitempty" doc:"What operators and publications wanted of it besides its steps, and who."`
	}
}

func (s *server) enrollment(status int, e *automation.Enrollment) *EnrollmentOut {
	out := &EnrollmentOut{Status: status}
	out.Body.Enrollment = *e
	if s.UI != "" {
		out.Body.TemporalURL = s.UI + url.PathEscape(e.TemporalWorkflowID)
	}
	return out
}

func (s *server) enrollUser(ctx context.Context, in *enrollIn) (*EnrollmentOut, error) {
	enroll := s.DB.Enroll
	if in.Body.FastForward {
		if !s.FastForward {
			return nil, newProblem(http.StatusUnprocessableEntity, "fast-forward-unavailable", "only rollcall-dev skips time")
		}
		enroll = s.DB.EnrollFastForward
	}
	e, order, err := enroll(ctx, in.Name, in.Body.UserID)
	if err != nil {
		return nil, err
	}
	if order != nil { // else the guard holds it
		s.Starter.Start([]postgres.Order{*order})
	}
	return s.enrollment(http.StatusCreated, e), nil
}

type enrollmentsIn struct {
	Page
	Workflow string `query:"workflow" doc:"Only of this workflow."`
	User     string `query:"user" doc:"Only of this user."`
	Status   string `query:"status" enum:"held,pending,active,completed,unenrolled,failed" doc:"Only in this status."`
}

func (s *server) listEnrollments(ctx context.Context, in *enrollmentsIn) (*List[automation.Enrollment], error) {
	q := postgres.EnrollmentQuery{
		Workflow: in.Workflow, UserID: in.User, Status: automation.EnrollmentStatus(in.Status), Limit: in.limit() + 1,
	}
	if err := in.read(&q.Before); err != nil {
		return nil, err
	}
	if q.Before != nil && !isID(q.Before.ID) {
		return nil, badPageToken()
	}
	items, err := s.DB.Enrollments(ctx, q)
	if err != nil {
		return nil, err
	}
	return pageOf(items, in.limit(), func(e *automation.Enrollment) any {
		return postgres.EnrollmentCursor{CreatedAt: e.CreatedAt, ID: e.ID}
	}), nil
}

// EnrollmentPath names an enrollment.
type EnrollmentPath struct {
	ID string `path:"id" maxLength:"1024"`
}

func (s *server) getEnrollment(ctx context.Context, in *EnrollmentPath) (*EnrollmentOut, error) {
	e, err := s.DB.Enrollment(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := s.enrollment(http.StatusOK, e)
	if out.Body.Timeline, err = s.DB.Timeline(ctx, in.ID); err != nil {
		return nil, err
	}
	out.Body.Interventions, err = s.DB.Interventions(ctx, in.ID)
	return out, err
}

type unenrollIn struct {
	EnrollmentPath
	Body *struct {
		Reason string `json:"reason,omitempty" maxLength:"200" doc:"Why; it stands in the enrollment."`
		By     string `json:"by,omitempty" maxLength:"200" doc:"Who wants it."`
	}
}

func (s *server) unenroll(ctx context.Context, in *unenrollIn) (*EnrollmentOut, error) {
	reason, by := "on request", ""
	if in.Body != nil {
		reason, by = cmp.Or(in.Body.Reason, reason), in.Body.By
	}
	e, running, err := s.DB.Unenroll(ctx, in.ID, reason, actor(ctx, by))
	if err != nil {
		return nil, err
	}
	s.Starter.Wake()
	out := s.enrollment(http.StatusOK, e)
	out.Body.InFlight = running
	return out, nil
}

type notificationsIn struct {
	Page
	User string `query:"user" doc:"Only to this user."`
}

func (s *server) listNotifications(ctx context.Context, in *notificationsIn) (*List[postgres.Notification], error) {
	var before int64
	if err := in.read(&before); err != nil {
		return nil, err
	}
	items, err := s.DB.Notifications(ctx, in.User, before, in.limit()+1)
	if err != nil {
		return nil, err
	}
	return pageOf(items, in.limit(), func(n *postgres.Notification) any { return n.ID }), nil
}
