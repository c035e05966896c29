package app_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rollcall/app"
	"rollcall/automation"
	"rollcall/postgres"
)

// receiver is a system outside that answers webhooks when the test lets it.
type receiver struct {
	*httptest.Server
	came    chan string   // the webhook-id of each request
	answers chan int      // the statuses that they are answered
	closed  chan struct{} // when nobody waits for an answer any more
}

func (s *service) receiver() *receiver {
	r := &receiver{came: make(chan string, 100), answers: make(chan int, 100), closed: make(chan struct{})}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.came <- q.Header.Get("webhook-id")
		select {
		case status := <-r.answers:
			w.WriteHeader(status)
		case <-r.closed:
		case <-q.Context().Done():
		}
	}))
	s.t.Cleanup(func() {
		close(r.closed)
		r.Close()
	})
	return r
}

// wantRequest waits for the next request, which waits for its answer.
func (s *service) wantRequest(r *receiver) (id string) {
	s.t.Helper()
	select {
	case id = <-r.came:
	case <-s.ctx.Done():
		require.Fail(s.t, "no request came")
	}
	return id
}

// deployed prepares a service of processes, of which one serves the API.
func deployed(t *testing.T) (s *service, serve *process) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and starts processes")
	}
	s = prepare(t)
	s.key = operatorKey
	serve = s.process("serve")
	s.url = "http://" + serve.addr
	var err error
	s.db, err = postgres.Open(s.ctx, postgres.Config{URL: s.config.DatabaseURL, MaxConns: 2, Catalog: app.Catalog()})
	require.NoError(t, err)
	t.Cleanup(s.db.Close)
	return s, serve
}

// publishSlow publishes a flow that calls a receiver and then notes that it is through.
func (s *service) publishSlow(r *receiver) {
	s.publish(fmt.Sprintf(`
name: slow
triggers: [{ event: signed_up }]
steps:
  - { id: call, action: send_webhook, with: { url: "%s/slow" } }
  - { id: tell, action: notify, with: { to: u_1, text: through } }
`, r.URL))
	s.put("u_1", properties{})
	s.event("signed_up", "u_1")
}

func TestStoppingWorkerFinishesTheActionThatItCarriesOut(t *testing.T) {
	t.Parallel()
	for name, failures := range map[string]int{"the first try": 0, "a later try": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := deployed(t)
			r := s.receiver()
			first := s.process("worker")
			s.publishSlow(r)
			for range failures {
				s.wantRequest(r)
				r.answers <- http.StatusServiceUnavailable
			}
			key := s.wantRequest(r)

			first.stopping()
			second := s.process("worker")
			r.answers <- http.StatusOK

			first.wantExit()
			e := s.wantStatus("slow", "u_1", automation.Completed)
			require.Equal(t, automation.EffectKey(e.ID, "call", 1), key)
			require.Empty(t, r.came, "nobody calls again")
			timeline, err := s.db.Timeline(s.ctx, e.ID)
			require.NoError(t, err)
			require.Equal(t, []string{"call 1 done", "tell 1 done"}, s.steps(e.ID))
			require.Equal(t, []int{failures + 1, 1}, []int{timeline[0].Attempts, timeline[1].Attempts})
			second.signal()
			second.wantExit()
		})
	}
}

func TestSecondSignalEndsAWorkerAtOnce(t *testing.T) {
	t.Parallel()
	s, _ := deployed(t)
	r := s.receiver()
	worker := s.process("worker")
	s.publishSlow(r)
	s.wantRequest(r)
	worker.stopping()

	worker.signal()

	s.until("it has ended", worker.hasEnded)
	require.NotZero(t, worker.cmd.ProcessState.ExitCode())
	require.Equal(t, []string{"call 1 running"}, s.steps(s.enrollments("slow", "u_1")[0].ID), "the receiver has not answered yet")
}

// holdUser locks a user, so that requests that change it wait, and returns what lets it go.
func (s *service) holdUser(id string) (release func()) {
	s.t.Helper()
	conn, err := pgx.Connect(s.ctx, s.config.DatabaseURL)
	require.NoError(s.t, err)
	tx, err := conn.Begin(s.ctx)
	require.NoError(s.t, err)
	_, err = tx.Exec(s.ctx, `select from users where id = $1 for update`, id)
	require.NoError(s.t, err)
	return func() {
		s.t.Helper()
		require.NoError(s.t, tx.Commit(s.ctx))
		require.NoError(s.t, conn.Close(s.ctx))
	}
}

// patchHeld sends a request that changes a user whom somebody holds; its status comes later.
func (s *service) patchHeld(id string) (answered chan int) {
	s.t.Helper()
	answered = make(chan int, 1)
	go func() {
		status, _ := s.call("PATCH", "/v1/users/"+id, map[string]any{"properties": properties{"job_title": "lead"}})
		answered <- status
	}()
	s.until("the request waits", func() bool { return s.lockWaits() == 1 })
	return answered
}

// lockWaits counts the connections to this database that wait for a lock.
func (s *service) lockWaits() (n int) {
	s.t.Helper()
	conn, err := pgx.Connect(s.ctx, s.config.DatabaseURL)
	require.NoError(s.t, err)
	defer conn.Close(s.ctx)
	require.NoError(s.t, conn.QueryRow(s.ctx,
		`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`).Scan(&n))
	return n
}

func TestStoppingServerAnswersWhoIsInsideAndTurnsAwayOthers(t *testing.T) {
	t.Parallel()
	s, serve := deployed(t)
	s.put("u_1", properties{})
	release := s.holdUser("u_1")
	answered := s.patchHeld("u_1")

	serve.stopping()

	status, problem := s.call("GET", "/v1/users/u_1", nil)
	require.Equal(t, []any{http.StatusServiceUnavailable, "urn:rollcall:problem/stopping"}, []any{status, problem["type"]})
	release()
	require.Equal(t, http.StatusOK, <-answered)
	serve.wantExit()
	user, err := s.db.User(s.ctx, "u_1")
	require.NoError(t, err)
	require.Equal(t, "lead", user.Properties["job_title"])
}

func TestSecondSignalEndsAServerAtOnce(t *testing.T) {
	t.Parallel()
	s, serve := deployed(t)
	s.put("u_1", properties{})
	defer s.holdUser("u_1")()
	req, err := http.NewRequestWithContext(s.ctx, "PATCH", s.url+"/v1/users/u_1", strings.NewReader(`{"properties": {"job_title": "lead"}}`))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Content-Type", "application/json")
	cut := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		cut <- err
	}()
	s.until("the request waits", func() bool { return s.lockWaits() == 1 })
	serve.stopping()

	serve.signal()

	s.until("it has ended", serve.hasEnded)
	require.NotZero(t, serve.cmd.ProcessState.ExitCode())
	require.Error(t, <-cut, "there was no time for an answer")
}
