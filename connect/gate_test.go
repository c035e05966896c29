package connect_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/connect"
)

func TestAHangingReceiverDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	const limit, callers = 4, 40
	var inside, most atomic.Int32
	release := make(chan struct{})
	let := sync.OnceFunc(func() { close(release) })
	defer let()
	hanging := serve(t, func(http.ResponseWriter, *http.Request) {
		now := inside.Add(1)
		for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		<-release
		inside.Add(-1)
	})
	quick := server(t, "quick")
	client := connect.NewHTTPClient(connect.Guard{AllowAddrs: []netip.AddrPort{hanging.addr, quick.addr}, PerHost: limit})
	ended := make(chan error, callers)
	for range callers {
		go func() { ended <- try(t, client, hanging.URL) }()
	}
	next := func() error {
		select {
		case err := <-ended:
			return err
		case <-time.After(20 * time.Second):
			require.Fail(t, "a request does not end")
			return nil
		}
	}
	for range callers - limit {
		err := next()
		require.Equal(t, connect.Busy, connect.Class(err))
		require.False(t, connect.IsPermanent(err))
		require.EqualError(t, err, "4 other requests to the receiver are under way")
		wait, ok := connect.RetryAfter(err)
		require.True(t, ok)
		require.GreaterOrEqual(t, wait, time.Second)
		require.Less(t, wait, 4*time.Second)
	}
	for range 10 {
		require.Equal(t, "quick", get(t, client, quick.URL), "while the other one hangs")
	}
	require.Equal(t, int32(limit), hanging.visits.Load())
	let()
	for range limit {
		require.NoError(t, next())
	}
	require.NoError(t, try(t, client, hanging.URL))
	require.Equal(t, int32(limit), most.Load())
}

func TestNoMoreThanSoManyRequestsReachOneReceiver(t *testing.T) {
	t.Parallel()
	const limit = 3
	var inside, tooMany atomic.Int32
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if inside.Add(1) > limit {
			tooMany.Add(1)
		}
		for range 1000 {
			runtime.Gosched()
		}
		inside.Add(-1) // before the client can know that it is answered
		_, _ = io.WriteString(w, strings.Repeat("x", 10_000))
	})
	client := connect.NewHTTPClient(connect.Guard{AllowAddrs: []netip.AddrPort{s.addr}, PerHost: limit})
	var all sync.WaitGroup
	var served atomic.Int32
	for range 200 {
		all.Go(func() {
			if err := try(t, client, s.URL); err == nil {
				served.Add(1)
			} else if connect.Class(err) != connect.Busy {
				t.Errorf("unexpected: %s", err)
			}
		})
	}
	all.Wait()
	require.Zero(t, tooMany.Load())
	require.Equal(t, served.Load(), s.visits.Load())
	require.GreaterOrEqual(t, served.Load(), int32(limit))
}

func TestASlotIsTakenUntilTheBodyIsClosed(t *testing.T) {
	t.Parallel()
	s := server(t, "text")
	client := connect.NewHTTPClient(connect.Guard{AllowAddrs: []netip.AddrPort{s.addr}, PerHost: 1})
	first, err := client.Do(request(t, s.URL))
	require.NoError(t, err)
	require.Equal(t, connect.Busy, connect.Class(fail(t, client, s.URL)))
	require.NoError(t, first.Body.Close())
	require.NoError(t, first.Body.Close(), "once more gives no second slot back")
	require.Equal(t, "text", get(t, client, s.URL))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	require.Equal(t, connect.Canceled, connect.Class(connect.Judge(err)))
	require.Equal(t, "text", get(t, client, s.URL))
}

// The servers of these tests are real, their time is not: it passes only while nobody does
// anything, so no connection is kept.

func TestAReceiverThatFailsIsLeftAloneForAWhile(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	other := server(t, "other port")
	broken.Store(true)
	synctest.Test(t, func(t *testing.T) {
		client := connect.NewHTTPClient(connect.Guard{AllowAddrs: []netip.AddrPort{s.addr, other.addr}})
		visits := int32(0)
		reaches := func(status int) {
			t.Helper()
			err := try(t, client, s.URL)
			visits++
			require.Equal(t, visits, s.visits.Load())
			require.Equal(t, status, connect.StatusCode(err))
		}
		refuses := func(text string, wait time.Duration) {
			t.Helper()
			err := try(t, client, s.URL)
			require.EqualError(t, err, text)
			require.Equal(t, connect.Down, connect.Class(err))
			require.False(t, connect.IsPermanent(err))
			after, ok := connect.RetryAfter(err)
			require.True(t, ok)
			require.GreaterOrEqual(t, after, wait)
			require.Less(t, after, wait+wait/8+time.Second)
			require.Equal(t, visits, s.visits.Load(), "nothing is sent")
		}
		for range 4 {
			reaches(http.StatusInternalServerError)
		}
		broken.Store(false)
		reaches(0) // which begins the count anew
		broken.Store(true)
		for range 5 {
			reaches(http.StatusInternalServerError)
		}
		refuses("the receiver failed 5 times in a row; next try in 30s", 30*time.Second)
		require.NoError(t, try(t, client, other.URL))
		time.Sleep(29*time.Second + time.Millisecond)
		refuses("the receiver failed 5 times in a row; next try in 1s", 999*time.Millisecond)
		time.Sleep(time.Second)
		reaches(http.StatusInternalServerError) // the one that is let through
		refuses("the receiver failed 6 times in a row; next try in 1m0s", time.Minute)
		time.Sleep(time.Minute)
		broken.Store(false)
		reaches(0)
		broken.Store(true)
		for range 5 {
			reaches(http.StatusInternalServerError)
		}
		refuses("the receiver failed 5 times in a row; next try in 30s", 30*time.Second)
	})
}

func TestAReceiverThatAsksToWaitIsLeftAloneByEverybody(t *testing.T) {
	t.Parallel()
	var status atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/limited" {
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(int(status.Load()))
		}
	})
	other := server(t, "other port")
	for _, code := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		status.Store(int32(code))
		synctest.Test(t, func(t *testing.T) {
			client := connect.NewHTTPClient(connect.Guard{AllowAddrs: []netip.AddrPort{s.addr, other.addr}})
			err := try(t, client, s.URL+"/limited")
			require.Equal(t, code, connect.StatusCode(err))
			after, _ := connect.RetryAfter(err)
			require.Equal(t, 120*time.Second, after)
			before := s.visits.Load()

			time.Sleep(20 * time.Second)
			err = try(t, client, s.URL+"/free")
			require.EqualError(t, err, "the receiver asked to wait; next try in 1m40s")
			require.Equal(t, connect.Busy, connect.Class(err))
			after, _ = connect.RetryAfter(err)
			require.GreaterOrEqual(t, after, 100*time.Second)
			require.Less(t, after, 114*time.Second)
			require.NoError(t, try(t, client, other.URL))
			require.Equal(t, before, s.visits.Load())

			time.Sleep(100 * time.Second)
			require.NoError(t, try(t, client, s.URL+"/free"))
			for range 10 { // such an answer is not a failure: it says when to come back
				require.Equal(t, code, connect.StatusCode(try(t, client, s.URL+"/limited")))
				time.Sleep(120 * time.Second)
			}
			require.NoError(t, try(t, client, s.URL+"/free"))
		})
	}
}

func TestOneAttemptAtATimeTriesAFailedReceiver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := connect.NewGate(0)
		tell(t, g, 5, failed(500))
		_, err := g.Enter(t.Context())
		require.Equal(t, connect.Down, connect.Class(err))
		time.Sleep(30 * time.Second)
		probe, err := g.Enter(t.Context())
		require.NoError(t, err)
		_, err = g.Enter(t.Context())
		require.EqualError(t, err, "the receiver failed and is being tried again by another attempt")
		require.Equal(t, connect.Down, connect.Class(err))
		_, ok := connect.RetryAfter(err)
		require.True(t, ok)

		probe.Tell(&connect.Error{Class: connect.Canceled})
		probe.Leave()
		probe, err = g.Enter(t.Context())
		require.NoError(t, err, "one that was given up leaves the question to the next")
		probe.Leave()
		tell(t, g, 4, failed(500))
		tell(t, g, 1, nil)
	})
}

func TestAReceiverThatStaysDownIsTriedEverLessOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := connect.NewGate(0)
		tell(t, g, 5, failed(500))
		for _, wait := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 10 * time.Minute, 10 * time.Minute} {
			time.Sleep(wait - time.Nanosecond)
			_, err := g.Enter(t.Context())
			require.Equal(t, connect.Down, connect.Class(err))
			time.Sleep(time.Nanosecond)
			tell(t, g, 1, failed(502))
		}
	})
}

func TestWhatCountsAsAFailureOfTheReceiver(t *testing.T) {
	t.Parallel()
	const fails, works, silent = "fails", "works", "says nothing"
	for name, tt := range map[string]struct {
		err  error
		took time.Duration
		want string
	}{
		"an answer":                      {nil, 0, works},
		"a slow answer":                  {nil, 29 * time.Second, works},
		"404":                            {failed(404), 0, works},
		"408":                            {failed(408), 0, works},
		"421":                            {failed(421), 0, works},
		"429":                            {failed(429), 0, works},
		"500":                            {failed(500), 0, fails},
		"503":                            {failed(503), 0, fails},
		"599":                            {failed(599), 0, fails},
		"a refused connection":           {&connect.Error{Class: connect.Connect}, 0, fails},
		"no such host":                   {&connect.Error{Class: connect.DNS}, 0, fails},
		"no handshake":                   {&connect.Error{Class: connect.TLS}, 0, fails},
		"a malformed answer":             {&connect.Error{Class: connect.Response}, 0, fails},
		"no answer":                      {&connect.Error{Class: connect.Timeout}, 30 * time.Second, fails},
		"no answer to the impatient":     {&connect.Error{Class: connect.Timeout}, 5 * time.Second, silent},
		"our own end":                    {connect.Judge(context.Canceled), 30 * time.Second, silent},
		"our own guard":                  {connect.Refuse(connect.Blocked, ""), 0, silent},
		"our own mistake":                {connect.Refuse(connect.Invalid, ""), 0, silent},
		"a mail server's refusal":        {&connect.Error{Class: connect.Rejected, Status: 550}, 0, works},
		"a mail server's full box":       {&connect.Error{Class: connect.Rejected, Status: 452}, 0, works},
		"a mail server that closes":      {&connect.Error{Class: connect.Rejected, Status: 421}, 0, fails},
		"a password that is not taken":   {&connect.Error{Class: connect.Auth, Status: 535}, 0, works},
		"what nobody judged":             {io.ErrUnexpectedEOF, 0, fails},
		"500 that says when it is over":  {&connect.Error{Class: connect.Status, Status: 500, RetryAfter: time.Second}, 0, silent},
		"a reason wrapped into another":  {fmt.Errorf("post: %w", failed(500)), 0, fails},
		"a mistake wrapped into another": {fmt.Errorf("post: %w", failed(400)), 0, works},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := connect.NewGate(0)
				tell(t, g, 4, failed(500))
				pass, err := g.Enter(t.Context())
				require.NoError(t, err)
				time.Sleep(tt.took)
				pass.Tell(tt.err)
				pass.Tell(failed(500)) // the first counts
				pass.Leave()
				time.Sleep(time.Second) // where it asks to wait
				if tt.want == fails {
					_, err := g.Enter(t.Context())
					require.Equal(t, connect.Down, connect.Class(err))
					return
				}
				tell(t, g, 1, failed(500))
				_, err = g.Enter(t.Context())
				require.Equal(t, tt.want == silent, connect.Class(err) == connect.Down)
			})
		})
	}
}

func TestThoseWhoFindNoSlotComeBackAtThePaceOfTheReceiver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := connect.NewGate(2)
		for range 50 { // which take 20 seconds each, so that two get through in that time
			pass, err := g.Enter(t.Context())
			require.NoError(t, err)
			time.Sleep(20 * time.Second)
			pass.Leave()
		}
		for range 2 {
			_, err := g.Enter(t.Context())
			require.NoError(t, err)
		}
		for n := range 6 {
			began := time.Now()
			_, err := g.Enter(t.Context())
			require.Equal(t, connect.Busy, connect.Class(err))
			require.Equal(t, 250*time.Millisecond, time.Since(began), "a worker is not held up")
			after, _ := connect.RetryAfter(err)
			turn := time.Duration(n+1) * 10 * time.Second
			require.InDelta(t, turn, after, float64(turn/8+4*time.Second))
		}
	})
}

func TestWhoGivesUpWhileWaitingForASlotSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := connect.NewGate(1)
		pass, err := g.Enter(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err = g.Enter(ctx)
		require.Equal(t, connect.Timeout, connect.Class(err))

		time.AfterFunc(200*time.Millisecond, pass.Leave)
		_, err = g.Enter(t.Context())
		require.NoError(t, err, "a slot that comes free in time is taken")
	})
}

// tell lets attempts through, of which each ends so.
func tell(t *testing.T, g *connect.Gate, times int, end error) {
	t.Helper()
	for range times {
		pass, err := g.Enter(t.Context())
		require.NoError(t, err)
		pass.Tell(end)
		pass.Leave()
	}
}

func failed(status int) error { return connect.StatusError(status, http.Header{}, "") }

// try makes one request and judges what comes of it.
func try(t *testing.T, client *http.Client, url string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Close = true
	resp, err := client.Do(req)
	if err != nil {
		return connect.Judge(err)
	}
	defer resp.Body.Close()
	return connect.CheckStatus(resp)
}
