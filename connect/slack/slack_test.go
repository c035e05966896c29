package slack_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/connect"
	"rollcall/connect/slack"
)

func TestSendPostsAsBot(t *testing.T) {
	t.Parallel()
	got := make(chan map[string]string, 1)
	sender := bot(t, func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		got <- map[string]string{"path": r.URL.Path, "channel": r.Form.Get("channel"), "text": r.Form.Get("text")}
		_, _ = io.WriteString(w, `{"ok":true,"channel":"C1","ts":"1700000000.000100","message":{"text":"hi"}}`)
	})
	ts, err := sender.Send(t.Context(), slack.Message{To: "#people", Text: "hi <there>"})
	require.NoError(t, err)
	require.Equal(t, "1700000000.000100", ts)
	require.Equal(t, map[string]string{"path": "/api/chat.postMessage", "channel": "#people", "text": "hi <there>"}, <-got)
}

func TestSendFindsUsersByAddress(t *testing.T) {
	t.Parallel()
	channel := make(chan string, 1)
	sender := bot(t, func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		if r.URL.Path == "/api/users.lookupByEmail" {
			if r.Form.Get("email") != "ada@example.test" {
				_, _ = io.WriteString(w, `{"ok":false,"error":"users_not_found"}`)
				return
			}
			_, _ = io.WriteString(w, `{"ok":true,"user":{"id":"U0ADA","profile":{"email":"ada@example.test"}}}`)
			return
		}
		channel <- r.Form.Get("channel")
		_, _ = io.WriteString(w, `{"ok":true,"channel":"D1","ts":"1.2"}`)
	})
	_, err := sender.Send(t.Context(), slack.Message{To: "ada@example.test", Text: "hi"})
	require.NoError(t, err)
	require.Equal(t, "U0ADA", <-channel)

	_, err = sender.Send(t.Context(), slack.Message{To: "eve@example.test", Text: "hi"})
	require.True(t, connect.IsPermanent(err))
	require.EqualError(t, err, "find slack user: slack answered users_not_found")
}

func TestSendJudgesRefusals(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]struct {
		permanent bool
		class     string
	}{
		"invalid_auth":        {true, connect.Auth},
		"account_inactive":    {true, connect.Auth},
		"token_revoked":       {true, connect.Auth},
		"missing_scope":       {true, connect.Auth},
		"channel_not_found":   {true, connect.Rejected},
		"not_in_channel":      {true, connect.Rejected},
		"is_archived":         {true, connect.Rejected},
		"msg_too_long":        {true, connect.Rejected},
		"ratelimited":         {false, connect.Rejected},
		"internal_error":      {false, connect.Rejected},
		"service_unavailable": {false, connect.Rejected},
		"fatal_error":         {false, connect.Rejected},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			sender := bot(t, func(w http.ResponseWriter, _ *http.Request) {
				_ = json.NewEncoder(w).Encode(map[string]any{"ok": false, "error": code})
			})
			_, err := sender.Send(t.Context(), slack.Message{To: "C1", Text: "hi"})
			require.Error(t, err)
			require.Equal(t, want.permanent, connect.IsPermanent(err))
			require.Equal(t, want.class, connect.Class(err))
			require.Contains(t, err.Error(), code)
		})
	}
}

func TestSendJudgesStatuses(t *testing.T) {
	t.Parallel()
	for status, permanent := range map[int]bool{302: true, 400: true, 403: true, 404: true, 410: true, 429: false, 500: false, 503: false} {
		for _, way := range []func(*testing.T, http.HandlerFunc) *slack.Sender{bot, hook} {
			t.Run(strconv.Itoa(status), func(t *testing.T) {
				t.Parallel()
				sender := way(t, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Retry-After", "30")
					w.WriteHeader(status)
					_, _ = io.WriteString(w, "no_service")
				})
				_, err := sender.Send(t.Context(), slack.Message{To: "C1", Text: "hi"})
				require.Error(t, err)
				require.Equal(t, permanent, connect.IsPermanent(err))
				require.Equal(t, status, connect.StatusCode(err))
				require.NotContains(t, err.Error(), "T000", "the url of an incoming webhook is a secret")
				require.NotContains(t, err.Error(), "xoxb")
				wait, ok := connect.RetryAfter(err)
				require.Equal(t, !permanent, ok)
				if ok {
					require.Equal(t, 30*time.Second, wait)
				}
			})
		}
	}
}

func TestSendByIncomingWebhook(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	sender := hook(t, func(w http.ResponseWriter, r *http.Request) {
		var m struct{ Text string }
		_ = json.NewDecoder(r.Body).Decode(&m)
		got <- r.URL.Path + " " + m.Text
		_, _ = io.WriteString(w, "ok")
	})
	ts, err := sender.Send(t.Context(), slack.Message{Text: "hi"})
	require.NoError(t, err)
	require.Empty(t, ts)
	require.Equal(t, "/hooks/T000/B000/XXX hi", <-got)
}

func TestSendJudgesWhatIsNotSlack(t *testing.T) {
	t.Parallel()
	sender := bot(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") })
	_, err := sender.Send(t.Context(), slack.Message{To: "C1", Text: "hi"})
	require.Equal(t, connect.Response, connect.Class(err))
	require.False(t, connect.IsPermanent(err))

	blocked, err := slack.New(slack.Config{WebhookURL: "https://127.0.0.1/T000/B000/XXX"}, connect.NewHTTPClient(connect.Guard{}))
	require.NoError(t, err)
	_, err = blocked.Send(t.Context(), slack.Message{Text: "hi"})
	require.EqualError(t, err, "post to slack webhook: destination is not allowed")
	require.True(t, connect.IsPermanent(err))
}

func TestSendKeepsBlocksAsTheyAre(t *testing.T) {
	t.Parallel()
	const want = `[{"type":"section","block_id":"b1","text":{"type":"mrkdwn","text":"a & <b>"}},{"type":"of_tomorrow","fields":[1,true,null,{"x":"y"}]}]`
	var blocks []map[string]any
	require.NoError(t, json.Unmarshal([]byte(want), &blocks))
	got := make(chan string, 1)
	for name, sender := range map[string]*slack.Sender{
		"bot": bot(t, func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			got <- r.Form.Get("blocks")
			_, _ = io.WriteString(w, `{"ok":true,"channel":"C1","ts":"1.2"}`)
		}),
		"hook": hook(t, func(w http.ResponseWriter, r *http.Request) {
			var m struct {
				Text   string
				Blocks json.RawMessage
			}
			_ = json.NewDecoder(r.Body).Decode(&m)
			got <- string(m.Blocks)
			_, _ = io.WriteString(w, "ok")
		}),
	} {
		_, err := sender.Send(t.Context(), slack.Message{To: "C1", Text: "hi", Blocks: blocks})
		require.NoError(t, err, name)
		require.JSONEq(t, want, <-got, name)
		_, err = sender.Send(t.Context(), slack.Message{To: "C1", Text: "hi"})
		require.NoError(t, err, name)
		require.Empty(t, <-got, name)
		for text, bad := range map[string][]map[string]any{
			"a block must have a type":           {{"type": "divider"}, {"text": "x"}},
			"a message has at most 50 blocks":    make([]map[string]any, 51),
			"post to slack: a block must have a": {{"type": 7}},
		} {
			_, err = sender.Send(t.Context(), slack.Message{To: "C1", Text: "hi", Blocks: bad})
			require.ErrorContains(t, err, text)
			require.True(t, connect.IsPermanent(err))
		}
	}
}

func TestSendRefusesEmptyMessages(t *testing.T) {
	t.Parallel()
	sender := bot(t, func(http.ResponseWriter, *http.Request) {})
	for _, m := range []slack.Message{{To: "C1", Text: " "}, {To: " ", Text: "hi"}} {
		_, err := sender.Send(t.Context(), m)
		require.True(t, connect.IsPermanent(err))
		require.Equal(t, connect.Invalid, connect.Class(err))
	}
	_, err := slack.New(slack.Config{}, http.DefaultClient)
	require.True(t, connect.IsPermanent(err))
}

func TestEscape(t *testing.T) {
	t.Parallel()
	require.Equal(t, "&lt;!channel&gt; &amp;amp;", slack.Escape("<!channel> &amp;"))
}

func bot(t *testing.T, h http.HandlerFunc) *slack.Sender {
	t.Helper()
	url, client := serve(t, h)
	sender, err := slack.New(slack.Config{Token: "xoxb-1-secret", APIURL: url + "/api"}, client)
	require.NoError(t, err)
	return sender
}

func hook(t *testing.T, h http.HandlerFunc) *slack.Sender {
	t.Helper()
	url, client := serve(t, h)
	sender, err := slack.New(slack.Config{WebhookURL: url + "/hooks/T000/B000/XXX"}, client)
	require.NoError(t, err)
	return sender
}

func serve(t *testing.T, h http.HandlerFunc) (string, *http.Client) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	addr := netip.MustParseAddrPort(s.Listener.Addr().String())
	return s.URL, connect.NewHTTPClient(connect.Guard{AllowAddrs: []netip.AddrPort{addr}})
}
