package world_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rollcall/connect"
	"rollcall/connect/email"
	"rollcall/connect/sheets"
	"rollcall/connect/slack"
	"rollcall/connect/webhook"
	"rollcall/devstack/world"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMailArrives(t *testing.T) {
	t.Parallel()
	w := start(t, world.Config{})
	sender := mailer(t, w)
	require.NoError(t, sender.Send(t.Context(), email.Message{
		ID: "welcome/u_42/1", To: []string{"ada@example.test"}, Cc: []string{"bob@example.test"},
		Subject: "Grüße", Text: "Hällo Ada", HTML: "<p>Hällo <b>Ada</b></p>",
	}))
	require.NoError(t, sender.Send(t.Context(), email.Message{ID: "k2", To: []string{"ada@example.test"}, Text: "plain"}))
	items := w.Outbox()
	require.Len(t, items, 2)
	require.Equal(t, "email", items[0].Kind)
	require.Equal(t, "rollcall@example.test", items[0].From)
	require.Equal(t, []string{"ada@example.test", "bob@example.test"}, items[0].To)
	require.Equal(t, "Grüße", items[0].Subject)
	require.Equal(t, "Hällo Ada", strings.TrimSpace(items[0].Text))
	require.Equal(t, "<p>Hällo <b>Ada</b></p>", strings.TrimSpace(items[0].HTML))
	require.Equal(t, "welcome/u_42/1@example.test", items[0].MessageID)
	require.Equal(t, "welcome/u_42/1", items[0].Headers["x-rollcall-key"])
	require.Equal(t, "plain", strings.TrimSpace(items[1].Text))
}

func TestSlackMessagesArrive(t *testing.T) {
	t.Parallel()
	w := start(t, world.Config{})
	bot, err := slack.New(slack.Config{Token: "xoxb-world", APIURL: w.SlackURL()}, client(t, w))
	require.NoError(t, err)
	ts, err := bot.Send(t.Context(), slack.Message{To: "#people", Text: "hello & welcome"})
	require.NoError(t, err)
	_, err = bot.Send(t.Context(), slack.Message{To: "ada@example.test", Text: "psst"})
	require.NoError(t, err)
	hook, err := slack.New(slack.Config{WebhookURL: "http://" + w.HTTPAddr() + "/slack/hooks/T1/B1/X"}, client(t, w))
	require.NoError(t, err)
	blocks := []map[string]any{{"type": "section", "text": map[string]any{"type": "mrkdwn", "text": "<script>alert(2)</script>"}}}
	_, err = hook.Send(t.Context(), slack.Message{Text: "by hook", Blocks: blocks})
	require.NoError(t, err)

	items := w.Outbox()
	require.Len(t, items, 3)
	require.Equal(t, "#people", items[0].Channel)
	require.Equal(t, "hello & welcome", items[0].Text)
	require.Equal(t, ts, items[0].TS)
	require.Equal(t, "ada@example.test", items[1].Email)
	require.Regexp(t, `^U[A-Z2-7]{10}$`, items[1].Channel)
	require.Equal(t, "hooks/T1/B1/X", items[2].Channel)
	_, err = bot.Send(t.Context(), slack.Message{To: "#people", Text: "laid out", Blocks: blocks})
	require.NoError(t, err)
	items = w.Outbox()
	require.Empty(t, items[0].Blocks)
	for _, item := range items[2:] {
		require.JSONEq(t, `[{"type":"section","text":{"type":"mrkdwn","text":"<script>alert(2)</script>"}}]`, string(item.Blocks))
	}
	page := get(t, "http://"+w.HTTPAddr()+"/").body
	require.Contains(t, page, "<summary>Blocks</summary>")
	require.NotContains(t, page, "<script>alert")

	bad, err := slack.New(slack.Config{Token: "xoxb-invalid", APIURL: w.SlackURL()}, client(t, w))
	require.NoError(t, err)
	_, err = bad.Send(t.Context(), slack.Message{To: "#people", Text: "x"})
	require.Equal(t, connect.Auth, connect.Class(err))
	_, err = bot.Send(t.Context(), slack.Message{To: "nobody@example.test", Text: "x"})
	require.ErrorContains(t, err, "users_not_found")
}

func TestRowsArriveAndStay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, err := world.Start(world.Config{Dir: dir})
	require.NoError(t, err)
	sheet := book(t, w)
	row := []sheets.Column{{Name: "Name", Value: "Ada"}, {Name: "Team", Value: "=1+2"}}
	at, err := sheet.AppendRow(t.Context(), "s1", "New people", row)
	require.NoError(t, err)
	require.Equal(t, "'New people'!A2:B2", at)
	_, err = sheet.AppendRow(t.Context(), "s1", "New people", []sheets.Column{{Name: "Nmae", Value: "x"}})
	require.ErrorContains(t, err, `no column "Nmae"; it has Name, Team`)
	at, err = sheet.AppendRow(t.Context(), "s1", "", row)
	require.NoError(t, err)
	require.Equal(t, "Sheet1!A2:B2", at)

	items := w.Outbox()
	require.Len(t, items, 2)
	require.Equal(t, map[string]string{"Name": "Ada", "Team": "=1+2"}, items[0].Values)
	require.Equal(t, "New people", items[0].Sheet)
	require.Equal(t, "s1", items[0].Spreadsheet)
	key := keyOf(t, w)
	require.NoError(t, w.Stop())

	w = start(t, world.Config{Dir: dir})
	require.Equal(t, key, keyOf(t, w))
	at, err = book(t, w).AppendRow(t.Context(), "s1", "New people", []sheets.Column{{Name: "Team", Value: "B"}})
	require.NoError(t, err)
	require.Equal(t, "'New people'!A3:B3", at)
	items = w.Outbox()
	require.Len(t, items, 3)
	require.Equal(t, map[string]string{"Name": "", "Team": "B"}, items[2].Values)
}

func TestRowsAreUpdatedAndStay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, err := world.Start(world.Config{Dir: dir})
	require.NoError(t, err)
	sheet := book(t, w)
	for _, name := range []string{"Ada", "Bob"} {
		_, err := sheet.AppendRow(t.Context(), "s1", "New people", []sheets.Column{
			{Name: "Id", Value: name}, {Name: "Team", Value: "old"}, {Name: "Note", Value: "kept"}, {Name: "State", Value: "old"},
		})
		require.NoError(t, err)
	}
	row := []sheets.Column{{Name: "State", Value: "=1+2"}, {Name: "Team", Value: "new"}}
	for range 2 {
		updated, err := sheet.UpdateRow(t.Context(), "s1", "New people", sheets.Column{Name: "Id", Value: "Bob"}, row)
		require.NoError(t, err)
		require.Equal(t, sheets.Updated{Range: "'New people'!B3:D3", Row: 3}, updated)
	}
	_, err = sheet.UpdateRow(t.Context(), "s1", "New people", sheets.Column{Name: "Id", Value: "Cleo"}, row)
	require.ErrorIs(t, err, sheets.ErrNoRow)

	items := w.Outbox()
	require.Len(t, items, 4)
	for _, item := range items[2:] {
		require.Equal(t, "sheet_row", item.Kind)
		require.Equal(t, "'New people'!A3:D3", item.Range)
		require.Equal(t, []string{"Team", "State"}, item.Updated)
		require.Equal(t, map[string]string{"Id": "Bob", "Team": "new", "Note": "kept", "State": "=1+2"}, item.Values)
	}
	require.Empty(t, items[1].Updated)
	page := get(t, "http://"+w.HTTPAddr()+"/").body
	require.Contains(t, page, "Sheet row updated")
	require.Contains(t, page, "written: Team, State")
	require.NoError(t, w.Stop())

	w = start(t, world.Config{Dir: dir})
	updated, err := book(t, w).UpdateRow(t.Context(), "s1", "New people", sheets.Column{Name: "Team", Value: "new"}, row[:1])
	require.NoError(t, err)
	require.Equal(t, 3, updated.Row)
}

func TestSheetsWantAToken(t *testing.T) {
	t.Parallel()
	w := start(t, world.Config{})
	resp := get(t, w.SheetsURL()+"v4/spreadsheets/s1/values/A1")
	require.Equal(t, http.StatusUnauthorized, resp.status)
	require.Contains(t, resp.body, "UNAUTHENTICATED")

	stranger := start(t, world.Config{})
	file := strings.ReplaceAll(string(stranger.GoogleCredentials()), stranger.HTTPAddr(), w.HTTPAddr())
	sheet, err := sheets.New(t.Context(), sheets.Config{Endpoint: w.SheetsURL(), CredentialsJSON: []byte(file)}, client(t, w))
	require.NoError(t, err)
	_, err = sheet.AppendRow(t.Context(), "s1", "", []sheets.Column{{Name: "a"}})
	require.Equal(t, connect.Auth, connect.Class(err))
	require.ErrorContains(t, err, "Invalid JWT Signature")
}

func TestWebhooksArrive(t *testing.T) {
	t.Parallel()
	w := start(t, world.Config{Secrets: []string{secret}})
	sender := webhook.New(client(t, w))
	_, err := sender.Send(t.Context(), webhook.Request{
		ID: "k1", URL: w.WebhookURL("hr?a=b"), Body: []byte(`{"user": "u_42"}`), Secrets: []string{secret},
	})
	require.NoError(t, err)
	_, err = sender.Send(t.Context(), webhook.Request{ID: "k2", Method: "PUT", URL: w.WebhookURL("hr"), Body: []byte("not json")})
	require.NoError(t, err)

	var answer struct{ Items []world.Item }
	require.NoError(t, json.Unmarshal([]byte(get(t, "http://"+w.HTTPAddr()+"/outbox?kind=webhook").body), &answer))
	require.Len(t, answer.Items, 2)
	first, second := answer.Items[0], answer.Items[1]
	require.Equal(t, "/webhook/hr?a=b", first.Path)
	require.Equal(t, "POST", first.Method)
	require.JSONEq(t, `{"user":"u_42"}`, string(first.Body))
	require.Equal(t, "k1", first.WebhookID)
	require.Equal(t, "k1", first.Headers["webhook-id"])
	require.True(t, *first.Verified)
	require.JSONEq(t, `"not json"`, string(second.Body))
	require.False(t, *second.Verified)
	require.Equal(t, int64(1), first.ID)
	require.True(t, second.At.After(first.At))
}

func TestOutboxIsFilteredAndEmptied(t *testing.T) {
	t.Parallel()
	w := start(t, world.Config{})
	hook(t, w, "a")
	hook(t, w, "b")
	base := "http://" + w.HTTPAddr() + "/outbox"
	require.Contains(t, get(t, base+"?after=1").body, `"/webhook/b"`)
	require.NotContains(t, get(t, base+"?after=1").body, `"/webhook/a"`)
	require.NotContains(t, get(t, base+"?limit=1").body, `"/webhook/a"`)
	require.JSONEq(t, `{"items":[]}`, get(t, base+"?kind=email").body)

	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, base, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusNoContent, resp.StatusCode)
	require.Empty(t, w.Outbox())
	hook(t, w, "c")
	require.Equal(t, int64(3), w.Outbox()[0].ID)
}

func TestOutboxSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, err := world.Start(world.Config{Dir: dir})
	require.NoError(t, err)
	for i := range 50 {
		hook(t, w, strconv.Itoa(i))
	}
	before := w.Outbox()
	require.NoError(t, w.Stop())
	require.NoError(t, w.Stop())

	w = start(t, world.Config{Dir: dir})
	after := w.Outbox()
	require.Equal(t, before, after)
	hook(t, w, "next")
	require.Equal(t, int64(51), w.Outbox()[50].ID)
	w.Clear()
	require.NoError(t, w.Stop())
	w = start(t, world.Config{Dir: dir})
	require.Empty(t, w.Outbox())
}

func TestWaitWakesUpOnArrivals(t *testing.T) {
	t.Parallel()
	w := start(t, world.Config{})
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			err := w.Wait(t.Context(), func(items []world.Item) bool { return len(items) == 5 })
			if err != nil {
				t.Error(err)
			}
		})
	}
	for i := range 5 {
		hook(t, w, strconv.Itoa(i))
	}
	group.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, w.Wait(ctx, func([]world.Item) bool { return false }), context.DeadlineExceeded)
}

func TestNewestTenThousandAreKept(t *testing.T) {
	t.Parallel()
	w := start(t, world.Config{})
	sender := webhook.New(client(t, w))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 1260 {
				if _, err := sender.Send(t.Context(), webhook.Request{ID: "k", URL: w.WebhookURL("x"), Body: []byte(`{}`)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	items := w.Outbox()
	require.Len(t, items, 10_000)
	require.Equal(t, int64(10_080), items[9_999].ID)
	require.Equal(t, int64(81), items[0].ID)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	w := start(t, world.Config{})
	sender := webhook.New(client(t, w))
	send := func(name string) error {
		// By a client of its own: one client heeds a Retry-After itself.
		_, err := webhook.New(client(t, w)).Send(t.Context(), webhook.Request{ID: "k", URL: w.WebhookURL(name)})
		return err
	}
	w.Fail(world.Fault{Path: "/webhook/a", Times: 2, Status: 503, RetryAfter: "7"})
	require.NoError(t, send("b"))
	for range 2 {
		err := send("a")
		require.Equal(t, 503, connect.StatusCode(err))
		wait, ok := connect.RetryAfter(err)
		require.True(t, ok)
		require.Equal(t, 7*time.Second, wait)
	}
	require.NoError(t, send("a"))

	w.Fail(world.Fault{Path: "/webhook/", Hang: true})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := sender.Send(ctx, webhook.Request{ID: "k", URL: w.WebhookURL("a")})
	require.Equal(t, connect.Timeout, connect.Class(err))
	w.Fail(world.Fault{Path: "/webhook/", Drop: true})
	require.Equal(t, connect.Connect, connect.Class(send("c")))
	w.Fail(world.Fault{Path: "/webhook/", Times: 9, Status: 500})
	w.Heal()
	require.NoError(t, send("a"))
	require.Len(t, w.Outbox(), 3)

	w.Fail(world.Fault{Path: "/slack/", Status: 200, Body: `{"ok":false,"error":"is_archived"}`})
	bot, err := slack.New(slack.Config{Token: "xoxb-world", APIURL: w.SlackURL()}, client(t, w))
	require.NoError(t, err)
	_, err = bot.Send(t.Context(), slack.Message{To: "#old", Text: "x"})
	require.ErrorContains(t, err, "is_archived")

	w.Fail(world.Fault{Path: "smtp", Status: 452, Body: "mailbox full"})
	m := email.Message{ID: "k", To: []string{"ada@example.test"}}
	err = mailer(t, w).Send(t.Context(), m)
	require.Equal(t, 452, connect.StatusCode(err))
	require.False(t, connect.IsPermanent(err))
	require.NoError(t, mailer(t, w).Send(t.Context(), m))
}

func TestPageShowsEverythingAndEscapesIt(t *testing.T) {
	t.Parallel()
	w := start(t, world.Config{Secrets: []string{secret}})
	evil := `<script>alert(1)</script>"'`
	require.NoError(t, mailer(t, w).Send(t.Context(), email.Message{
		ID: "k1", To: []string{"ada@example.test"}, Subject: evil, Text: evil, HTML: evil,
	}))
	bot, err := slack.New(slack.Config{Token: "xoxb-world", APIURL: w.SlackURL()}, client(t, w))
	require.NoError(t, err)
	_, err = bot.Send(t.Context(), slack.Message{To: evil, Text: evil})
	require.NoError(t, err)
	_, err = book(t, w).AppendRow(t.Context(), "s1", evil, []sheets.Column{{Name: evil, Value: evil}})
	require.NoError(t, err)
	body, err := json.Marshal(evil)
	require.NoError(t, err)
	_, err = webhook.New(client(t, w)).Send(t.Context(), webhook.Request{
		ID: evil, URL: w.WebhookURL("x"), Body: body, Secrets: []string{secret}, Headers: map[string]string{"X-Evil": evil},
	})
	require.NoError(t, err)

	page := get(t, "http://"+w.HTTPAddr()+"/")
	require.Equal(t, http.StatusOK, page.status)
	require.NotContains(t, page.body, "<script>alert")
	require.Equal(t, 1, strings.Count(page.body, "<script"))
	require.Contains(t, page.body, "signature verified")
	require.Contains(t, page.header.Get("Content-Security-Policy"), "default-src 'none'")
	for _, external := range []string{"src=\"http", "href=\"http", "@import", "url("} {
		require.NotContains(t, page.body, external)
	}
	require.Less(t, strings.Index(page.body, `id="item-4"`), strings.Index(page.body, `id="item-1"`))
	slackOnly := get(t, "http://"+w.HTTPAddr()+"/?kind=slack").body
	require.Contains(t, slackOnly, `id="item-2"`)
	require.NotContains(t, slackOnly, `id="item-1"`)
}

func TestStopReleasesWhatHangs(t *testing.T) {
	t.Parallel()
	w, err := world.Start(world.Config{})
	require.NoError(t, err)
	w.Fail(world.Fault{Path: "/webhook/", Hang: true})
	failed := make(chan error, 1)
	c := client(t, w)
	go func() {
		_, err := webhook.New(c).Send(context.WithoutCancel(t.Context()), webhook.Request{ID: "k", URL: w.WebhookURL("a")})
		failed <- err
	}()
	require.NoError(t, w.Stop())
	require.Error(t, <-failed)
}

func start(t *testing.T, c world.Config) *world.World {
	t.Helper()
	w, err := world.Start(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Stop()) })
	return w
}

func client(t *testing.T, w *world.World) *http.Client {
	t.Helper()
	c := connect.NewHTTPClient(connect.Guard{AllowAddrs: []netip.AddrPort{netip.MustParseAddrPort(w.HTTPAddr())}})
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func book(t *testing.T, w *world.World) *sheets.Client {
	t.Helper()
	c, err := sheets.New(t.Context(), sheets.Config{Endpoint: w.SheetsURL(), CredentialsJSON: w.GoogleCredentials()}, client(t, w))
	require.NoError(t, err)
	return c
}

func mailer(t *testing.T, w *world.World) *email.Sender {
	t.Helper()
	s, err := email.New(email.Config{
		Addr: w.SMTPAddr(), From: "Rollcall <rollcall@example.test>", TLS: email.Opportunistic,
		DialContext: connect.NewDialer(connect.Guard{AllowAddrs: []netip.AddrPort{netip.MustParseAddrPort(w.SMTPAddr())}}).DialContext,
	})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func hook(t *testing.T, w *world.World, name string) {
	t.Helper()
	_, err := webhook.New(client(t, w)).Send(t.Context(), webhook.Request{ID: "k", URL: w.WebhookURL(name), Body: []byte(`{"a":1}`)})
	require.NoError(t, err)
}

func keyOf(t *testing.T, w *world.World) string {
	t.Helper()
	var file struct {
		PrivateKey string `json:"private_key"`
	}
	require.NoError(t, json.Unmarshal(w.GoogleCredentials(), &file))
	require.NotEmpty(t, file.PrivateKey)
	return file.PrivateKey
}

type answer struct {
	status int
	header http.Header
	body   string
}

func get(t *testing.T, url string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	body, err := connect.ReadLimited(resp, 16<<20)
	require.NoError(t, err)
	return answer{resp.StatusCode, resp.Header, string(body)}
}
