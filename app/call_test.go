package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/app"
	"rollcall/automation"
	"rollcall/postgres"
)

// office is another system that is called: it says what the test says and keeps what it was told.
type office struct {
	*httptest.Server
	mu      sync.Mutex
	says    []string // one after the other; the last one for ever
	told    []called
	failing int // so many calls are answered 500 yet
}

// fail lets the next calls be answered with an error, though they have arrived.
func (o *office) fail(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failing = n
}

type called struct {
	ID   string
	Body struct {
		Type string
		Data struct {
			User   struct{ ID string }
			Inputs map[string]any
		}
		Callback struct {
			URL       string
			ExpiresAt time.Time `json:"expires_at"`
		}
	}
}

func (s *service) office(says ...string) *office {
	s.t.Helper()
	o := &office{says: says}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var c called
		c.ID = r.Header.Get("webhook-id")
		text, err := io.ReadAll(r.Body)
		if err != nil || json.Unmarshal(text, &c.Body) != nil {
			http.Error(w, "bad", http.StatusBadRequest)
			return
		}
		o.mu.Lock()
		o.told = append(o.told, c)
		failing := o.failing > 0
		if failing {
			o.failing--
		}
		say := o.says[0]
		if len(o.says) > 1 {
			o.says = o.says[1:]
		}
		o.mu.Unlock()
		if failing {
			http.Error(w, "the answer got lost", http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, say)
	}))
	s.t.Cleanup(o.Close)
	s.allow(o.Server)
	return o
}

// allow starts the service anew, so that it may reach a system outside.
func (s *service) allow(outside *httptest.Server) {
	s.t.Helper()
	s.stop()
	s.config.AllowAddrs = append(s.config.AllowAddrs, netip.MustParseAddrPort(outside.Listener.Addr().String()))
	s.run()
}

func (o *office) call(s *service, n int) called {
	s.t.Helper()
	s.until("it is called", func() bool { return len(o.calls()) >= n })
	return o.calls()[n-1]
}

func (o *office) calls() []called {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]called{}, o.told...)
}

const pendingCall = `{"status": "pending"}`

func (s *service) publishCall(o *office, atMost, then string) {
	s.publish(`
name: badge
triggers: [{ event: hired }]
steps:
  - id: order
    action: call
    with: { url: "` + o.URL + `/badges", inputs: { name: "{{ user.first_name }}" }, at_most: ` + atMost + ` }` + then)
	s.put("u_1", properties{"first_name": "Ada"})
	s.event("hired", "u_1")
}

// wantPending waits until the call of a user's enrollment waits for its answer.
func (s *service) wantPending(user string) automation.Enrollment {
	s.t.Helper()
	e := s.wantStep("badge", user, "order")
	s.until("it waits", func() bool { return s.steps(e.ID)[0] == "order 1 waiting" })
	return e
}

// answer gives the answer to a call at its callback.
func (s *service) answer(c called, body string) (int, map[string]any) {
	s.t.Helper()
	require.Contains(s.t, c.Body.Callback.URL, s.url+"/v1/callbacks/rcb_")
	return s.call("POST", strings.TrimPrefix(c.Body.Callback.URL, s.url), json.RawMessage(body))
}

func TestACallThatIsAnsweredLaterLetsTheFlowGoOn(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.office(pendingCall)
	s.publishCall(o, "2d", `
  - { id: tell, action: notify, with: { to: u_1, text: "badge {{ steps.order.number }}" } }`)
	call := o.call(s, 1)
	require.Equal(t, "workflow.badge.order", call.Body.Type)
	require.Equal(t, "u_1", call.Body.Data.User.ID)
	require.Equal(t, "Ada", call.Body.Data.Inputs["name"])
	require.WithinDuration(t, time.Now().Add(48*time.Hour), call.Body.Callback.ExpiresAt, time.Minute)
	s.until("it waits", func() bool {
		e := s.enrollments("badge", "u_1")[0]
		return e.WaitingUntil != nil && e.WaitingUntil.After(time.Now().Add(47*time.Hour))
	})
	id := s.enrollments("badge", "u_1")[0].ID
	require.Equal(t, []string{"order 1 waiting"}, s.steps(id))
	began := time.Now()

	status, answer := s.answer(call, `{"status": "success", "outputs": {"number": 17}}`)

	require.Equal(t, 200, status, answer)
	require.Equal(t, "accepted", answer["status"])
	e := s.wantStatus("badge", "u_1", automation.Completed)
	require.Less(t, time.Since(began), 30*time.Second, "it does not wait for two days")
	require.Equal(t, []string{"order 1 done", "tell 1 done"}, s.steps(e.ID))
	require.Equal(t, map[string]any{"status": "success", "number": 17.0}, s.outputOf(e.ID, "order"))
	list := s.must("GET", "/v1/notifications?user=u_1", nil)["items"].([]any)
	require.Equal(t, "badge 17", list[0].(map[string]any)["text"])
	require.Len(t, o.calls(), 1)
	s.keepHistory(e.TemporalWorkflowID, "call")

	status, answer = s.answer(call, `{"outputs": {"number": 17}, "status": "success"}`)
	require.Equal(t, 200, status, answer)
	require.Equal(t, "duplicate", answer["status"])
	status, _ = s.answer(call, `{"status": "fail"}`)
	require.Equal(t, 409, status)
}

func TestACallThatIsAnsweredThatItFailedFailsTheStepAndCanBeRetried(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.office(pendingCall)
	s.publishCall(o, "2d", "")
	s.until("it waits", func() bool {
		return len(o.calls()) > 0 && s.steps(s.enrollments("badge", "u_1")[0].ID)[0] == "order 1 waiting"
	})
	first := o.call(s, 1)

	status, answer := s.answer(first, `{"status": "fail", "error": "the printer burns"}`)

	require.Equal(t, 200, status, answer)
	e := s.wantStatus("badge", "u_1", automation.Failed)
	require.Equal(t, "step order: the printer burns", e.Reason)
	s.must("POST", "/v1/enrollments/"+e.ID+"/retry", map[string]any{})
	second := o.call(s, 2)
	require.Equal(t, first.ID, second.ID, "it is the same effect")
	require.NotEqual(t, first.Body.Callback.URL, second.Body.Callback.URL)
	status, answer = s.answer(second, `{"status": "fail_continue", "error": "no paper"}`)
	require.Equal(t, 200, status, answer)
	e = s.wantStatus("badge", "u_1", automation.Completed)
	require.Equal(t, map[string]any{"status": "fail_continue", "outcome": "failed", "error": "no paper"}, s.outputOf(e.ID, "order"))
}

func TestACallWhoseAnswerDoesNotComeFailsAndIsRescued(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.office(pendingCall)
	s.publishCall(o, "1s", `
    on_error: [{ id: mourn, action: notify, with: { to: u_1, text: "{{ steps.order.error }}" } }]`)

	e := s.wantStatus("badge", "u_1", automation.Completed)

	require.Equal(t, []string{"order 1 failed", "mourn 1 done"}, s.steps(e.ID))
	list := s.must("GET", "/v1/notifications?user=u_1", nil)["items"].([]any)
	require.Equal(t, "no answer came in time", list[0].(map[string]any)["text"])
	status, answer := s.answer(o.call(s, 1), `{"status": "success"}`)
	require.Equal(t, 409, status, answer)
}

func TestACallIsSkippedAndUnenrolledInTheMiddle(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.office(pendingCall)
	s.publishCall(o, "2d", "")
	e := s.wantPending("u_1")
	s.must("POST", "/v1/enrollments/"+e.ID+"/skip", map[string]any{})
	s.wantStatus("badge", "u_1", automation.Completed)
	require.Equal(t, []string{"order 1 skipped"}, s.steps(e.ID))
	status, _ := s.answer(o.call(s, 1), `{"status": "success"}`)
	require.Equal(t, 409, status)

	s.put("u_2", properties{"first_name": "Bo"})
	s.event("hired", "u_2")
	e = s.wantPending("u_2")
	s.must("POST", "/v1/enrollments/"+e.ID+"/unenroll", map[string]any{})
	status, answer := s.answer(o.call(s, 2), `{"status": "success"}`)
	require.Equal(t, 409, status, answer)
	require.Equal(t, "urn:rollcall:problem/already-finished", answer["type"])
}

func TestAPendingCallSurvivesARestartAndIsMadeOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.office(pendingCall)
	s.publishCall(o, "2d", "")
	s.wantPending("u_1")
	call := o.call(s, 1)
	s.stop()
	before := s.url
	s.run()
	call.Body.Callback.URL = strings.Replace(call.Body.Callback.URL, before, s.url, 1)

	status, answer := s.answer(call, `{"status": "success"}`)

	require.Equal(t, 200, status, answer)
	s.wantStatus("badge", "u_1", automation.Completed)
	require.Len(t, o.calls(), 1)
}

func TestAFailedCallStaysFailedWhenItIsAskedAboutAgain(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.office(pendingCall)
	s.publishCall(o, "2d", "")
	e := s.wantPending("u_1")
	s.stop() // so that only the test asks
	ref := postgres.VisitRef{EnrollmentID: e.ID, Step: "order", Visit: 1}
	db, err := postgres.Open(s.ctx, postgres.Config{URL: s.config.DatabaseURL, Catalog: app.Catalog()})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	_, token, _ := strings.Cut(o.call(s, 1).Body.Callback.URL, "/v1/callbacks/")
	_, err = db.AnswerCall(s.ctx, token, automation.CallAnswer{Status: automation.CallFailed, Error: "no paper"})
	require.NoError(t, err)

	for range 2 { // the answer to the first may get lost
		_, err = db.EndCall(s.ctx, ref, false)
		require.ErrorIs(t, err, automation.ErrInvalid)
		require.ErrorContains(t, err, "no paper")
	}
}

func TestACallThatIsAnsweredWhileThePauseHoldsItIsNotLost(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.office("not JSON at all, and no status", pendingCall)
	o.fail(1)
	s.publishCall(o, "2d", `
  - { id: tell, action: notify, with: { to: u_1, text: "badge {{ steps.order.number }}" } }`)
	first := o.call(s, 1)
	s.must("POST", "/v1/workflows/badge/pause", map[string]any{})
	e := s.wantStep("badge", "u_1", "order")
	s.until("the retry is held", func() bool { return s.steps(e.ID)[0] == "order 1 held" })

	status, answer := s.answer(first, `{"status": "success", "outputs": {"number": 3, "outcome": "failed", "error": "none"}}`)

	require.Equal(t, 200, status, answer)
	s.must("POST", "/v1/workflows/badge/resume", map[string]any{})
	s.wantStatus("badge", "u_1", automation.Completed)
	require.Equal(t, map[string]any{"status": "success", "number": 3.0}, s.outputOf(e.ID, "order"))
	require.Len(t, o.calls(), 1, "it was answered: there is nothing to call for again")
}

func TestARetriedCallIsMadeAnewThoughAnOldAnswerIsLeftOver(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.office(pendingCall)
	o.fail(1)
	s.publishCall(o, "2d", "")
	first, second := o.call(s, 1), o.call(s, 2)
	e := s.wantPending("u_1")
	s.must("POST", "/v1/workflows/badge/pause", map[string]any{}) // both come before either is looked at, or one after the other
	status, _ := s.answer(first, `{"status": "fail", "error": "one"}`)
	require.Equal(t, 200, status)
	_, _ = s.answer(second, `{"status": "fail", "error": "two"}`)
	s.wantStatus("badge", "u_1", automation.Failed)
	s.must("POST", "/v1/workflows/badge/resume", map[string]any{})

	s.must("POST", "/v1/enrollments/"+e.ID+"/retry", map[string]any{})
	status, answer := s.answer(o.call(s, 3), `{"status": "success"}`)
	require.Equal(t, 200, status, answer)
	s.wantStatus("badge", "u_1", automation.Completed)
}

func TestAnAnswerToACallThatCannotBeUnderstoodIsNoSuccess(t *testing.T) {
	t.Parallel()
	s := start(t)
	for i, tt := range []struct{ say, want string }{
		{`{"status": "fail", "outputs": {"x": "` + strings.Repeat("x", 70<<10) + `"}}`, "answers with more than 64 KiB"},
		{`{"status": "success", "outputs": {"x": "` + strings.Repeat("x", 5<<10) + `"}}`, "outputs of more than 4096 bytes"},
		{`{"status": "fail"`, "JSON that is broken"},
		{`{"status": "maybe"}`, `the status "maybe"`},
		{`{"status": 1}`, "does not answer as a call is answered"},
		{`{"status": "fail", "error": "no"}`, "answers that it failed: no"},
	} {
		o := s.office(tt.say)
		s.publishCall(o, "2d", "\n# "+strconv.Itoa(i)+"\nenroll: { again: every_trigger }")
		e := s.wantStatus("badge", "u_1", automation.Failed)
		require.Contains(t, e.Reason, tt.want)
		s.exec(`update enrollments set status = 'completed' where status = 'failed'`)
	}
}
