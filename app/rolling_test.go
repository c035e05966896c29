package app_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
)

// load sends users and events all the time, each to one of several servers, and to the other
// one where the first stops.
type load struct {
	s      *service
	serves []*process

	mu    sync.Mutex
	users []string // whose event was taken
	asked int      // requests
	wrong []string // answers that should not be
}

// send creates a user and sends one event of theirs.
func (l *load) send(ctx context.Context, n int) {
	user := fmt.Sprintf("u_%d", n)
	if l.deliver(ctx, n, http.MethodPut, "/v1/users/"+user, `{"properties": {}}`) &&
		l.deliver(ctx, n, http.MethodPost, "/v1/events", fmt.Sprintf(`{"id": "e-%d", "name": "signed_up", "user_id": %q}`, n, user)) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.users = append(l.users, user)
	}
}

// deliver asks one server, and then the other one, until one of them does not stop. It reports whether
// the request was carried out.
func (l *load) deliver(ctx context.Context, first int, method, path, body string) bool {
	for i := first; ctx.Err() == nil; i++ {
		status, answer := l.ask(ctx, l.serves[i%len(l.serves)], method, path, body)
		stops := status == 0 || status == http.StatusServiceUnavailable && strings.Contains(answer, "urn:rollcall:problem/stopping")
		l.mu.Lock()
		l.asked++
		if !stops && status >= 300 {
			l.wrong = append(l.wrong, fmt.Sprint(method, " ", path, ": ", status, " ", answer))
		}
		l.mu.Unlock()
		if !stops {
			return status < 300
		}
	}
	return false
}

// ask returns the status 0 where nobody answers.
func (l *load) ask(ctx context.Context, p *process, method, path, body string) (status int, answer string) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+p.addr+path, strings.NewReader(body))
	if err != nil {
		return 0, ""
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+operatorKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, ""
	}
	return resp.StatusCode, string(text)
}

// run sends until the context ends, so many at a time.
func (l *load) run(ctx context.Context, clients int) {
	var group sync.WaitGroup
	for client := range clients {
		group.Go(func() {
			for n := client; ctx.Err() == nil; n += clients {
				l.send(context.WithoutCancel(ctx), n)
				select {
				case <-ctx.Done():
				case <-time.After(150 * time.Millisecond): // a steady load, no flood
				}
			}
		})
	}
	group.Wait()
}

// taken counts the events that were taken.
func (l *load) taken() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.users)
}

// rolling is a flow with an effect of our own before and after a wait, and one outside.
const rolling = `
name: rolling
triggers: [{ event: signed_up }]
steps:
  - { id: count, action: set_property, with: { property: counter, increment: 1 } }
  - { id: first, action: send_webhook, with: { url: "http://%[1]s/webhook/first/{{ user.id }}", body: {} } }
  - { id: wait, delay: 1s }
  - { id: second, action: send_webhook, with: { url: "http://%[1]s/webhook/second/{{ user.id }}", body: {} } }
  - { id: count_again, action: set_property, with: { property: counter, increment: 10 } }
`

func TestRollingRestartUnderLoadLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	s, first := deployed(t)
	l := &load{s: s, serves: []*process{first, s.process("serve")}}
	workers := []*process{s.process("worker"), s.process("worker")}
	s.declare(number("counter"))
	s.publish(fmt.Sprintf(rolling, s.world.HTTPAddr()))
	ctx, end := context.WithCancel(s.ctx)
	defer end()
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		l.run(ctx, 4)
	}()

	for _, p := range slices.Concat(workers, l.serves, workers) {
		before := l.taken()
		s.until("there is load", func() bool { return l.taken() >= before+5 })
		p.signal()
		p.wantExit()
		p.start()
	}
	end()
	<-loaded

	require.Empty(t, l.wrong)
	s.until("every enrollment has completed", func() bool {
		counts, err := s.db.Counts(s.ctx, "rolling")
		require.NoError(t, err)
		return counts[automation.Completed] == len(l.users)
	})
	hooks := map[string]int{}
	for _, item := range s.items("webhook") {
		hooks[item.Path]++
	}
	for _, id := range l.users {
		require.Len(t, s.enrollments("rolling", id), 1, "one event, one enrollment")
		user, err := s.db.User(s.ctx, id)
		require.NoError(t, err)
		require.Equal(t, 11.0, user.Properties["counter"], "each effect of ours happens once")
		require.Equal(t, []int{1, 1}, []int{hooks["/webhook/first/"+id], hooks["/webhook/second/"+id]}, "no webhook is sent twice")
	}
	t.Logf("%d requests, %d enrollments", l.asked, len(l.users))
}
