package world

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// people remembers whose user id came from which address.
type people struct {
	mu     sync.Mutex
	byID   map[string]string
	stamps int
}

func newPeople() *people { return &people{byID: map[string]string{}} }

// id returns the user id of an address: always the same for the same address.
func (p *people) id(email string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(email)))
	id := "U" + base32.StdEncoding.EncodeToString(sum[:])[:10]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byID[id] = email
	return id
}

func (p *people) email(id string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byID[id]
}

// stamp returns a timestamp that no other message of this second has.
func (p *people) stamp() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stamps++
	return fmt.Sprintf("%d.%06d", time.Now().Unix(), p.stamps%1_000_000)
}

// slackArgs reads the arguments of a call, sent as a form or as JSON, and judges its token.
func (w *World) slackArgs(rw http.ResponseWriter, r *http.Request) (map[string]string, bool) {
	args := map[string]string{}
	r.Body = http.MaxBytesReader(rw, r.Body, maxRequest)
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/json" {
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			answerSlack(rw, map[string]any{"ok": false, "error": "invalid_json"})
			return nil, false
		}
		for name, value := range body {
			if text, ok := value.(string); ok {
				args[name] = text
			} else if text, err := json.Marshal(value); err == nil {
				args[name] = string(text)
			}
		}
	} else if err := r.ParseForm(); err != nil {
		answerSlack(rw, map[string]any{"ok": false, "error": "invalid_form_data"})
		return nil, false
	}
	for name := range r.Form {
		args[name] = r.Form.Get(name)
	}
	token := args["token"]
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		token = bearer
	}
	switch {
	case token == "":
		answerSlack(rw, map[string]any{"ok": false, "error": "not_authed"})
		return nil, false
	case !strings.HasPrefix(token, "xox") || strings.Contains(token, "invalid"):
		answerSlack(rw, map[string]any{"ok": false, "error": "invalid_auth"})
		return nil, false
	}
	return args, true
}

func (w *World) postMessage(rw http.ResponseWriter, r *http.Request) {
	args, ok := w.slackArgs(rw, r)
	if !ok {
		return
	}
	channel, text := args["channel"], args["text"]
	switch {
	case channel == "":
		answerSlack(rw, map[string]any{"ok": false, "error": "channel_not_found"})
		return
	case text == "" && args["blocks"] == "" && args["attachments"] == "":
		answerSlack(rw, map[string]any{"ok": false, "error": "no_text"})
		return
	case len(text) > 40_000:
		answerSlack(rw, map[string]any{"ok": false, "error": "msg_too_long"})
		return
	}
	if fault := blocksFault(args["blocks"]); fault != "" {
		answerSlack(rw, map[string]any{"ok": false, "error": fault})
		return
	}
	ts := w.post(channel, text, args["blocks"])
	answerSlack(rw, map[string]any{
		"ok": true, "channel": channel, "ts": ts,
		"message": map[string]any{"type": "message", "subtype": "bot_message", "text": text, "ts": ts},
	})
}

// blocksFault returns what Slack says against blocks, "" if nothing.
func blocksFault(text string) string {
	if text == "" {
		return ""
	}
	var blocks []struct{ Type string }
	if json.Unmarshal([]byte(text), &blocks) != nil {
		return "invalid_blocks_format"
	}
	if len(blocks) > 50 || slices.ContainsFunc(blocks, func(b struct{ Type string }) bool { return b.Type == "" }) {
		return "invalid_blocks"
	}
	return ""
}

// post puts a message into the outbox and returns its timestamp.
func (w *World) post(channel, text, blocks string) string {
	ts := w.people.stamp()
	item := Item{Kind: KindSlack, Channel: channel, Email: w.people.email(channel), Text: text, TS: ts}
	if blocks != "" {
		item.Blocks = json.RawMessage(blocks)
	}
	w.outbox.add(item)
	return ts
}

func (w *World) lookupByEmail(rw http.ResponseWriter, r *http.Request) {
	args, ok := w.slackArgs(rw, r)
	if !ok {
		return
	}
	email := args["email"]
	if !strings.Contains(email, "@") || strings.HasPrefix(email, "nobody@") {
		answerSlack(rw, map[string]any{"ok": false, "error": "users_not_found"})
		return
	}
	name, _, _ := strings.Cut(email, "@")
	answerSlack(rw, map[string]any{"ok": true, "user": map[string]any{
		"id": w.people.id(email), "team_id": "T0WORLD", "name": name,
		"profile": map[string]any{"email": email, "real_name": name},
	}})
}

func (w *World) authTest(rw http.ResponseWriter, r *http.Request) {
	if _, ok := w.slackArgs(rw, r); ok {
		answerSlack(rw, map[string]any{
			"ok": true, "url": "http://" + w.httpAddr + "/", "team": "World", "user": "rollcall",
			"team_id": "T0WORLD", "user_id": "U0ROLLCALL", "bot_id": "B0ROLLCALL",
		})
	}
}

func (w *World) unknownMethod(rw http.ResponseWriter, _ *http.Request) {
	answerSlack(rw, map[string]any{"ok": false, "error": "unknown_method"})
}

// incomingWebhook takes a message by the URL of an incoming webhook, whose path is the channel.
func (w *World) incomingWebhook(rw http.ResponseWriter, r *http.Request) {
	var message struct {
		Text    string `json:"text"`
		Channel string `json:"channel"`
		Blocks  json.RawMessage
	}
	if err := json.NewDecoder(http.MaxBytesReader(rw, r.Body, maxRequest)).Decode(&message); err != nil {
		http.Error(rw, "invalid_payload", http.StatusBadRequest)
		return
	}
	if message.Text == "" {
		http.Error(rw, "no_text", http.StatusBadRequest)
		return
	}
	if fault := blocksFault(string(message.Blocks)); fault != "" {
		http.Error(rw, fault, http.StatusBadRequest)
		return
	}
	if message.Channel == "" {
		message.Channel = strings.TrimPrefix(r.URL.Path, "/slack/")
	}
	w.post(message.Channel, message.Text, string(message.Blocks))
	_, _ = io.WriteString(rw, "ok")
}

func answerSlack(rw http.ResponseWriter, answer map[string]any) {
	rw.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(rw).Encode(answer)
}
