package world

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// maxRequest is the most that one request may bring.
const maxRequest = 16 << 20

// pendingPath is where a call is answered later, by whoever looks at the page.
const pendingPath = "/webhook/later"

// webhook takes any webhook and answers {"ok":true}; under pendingPath it answers as a system does that
// gives its answer to a call later.
func (w *World) webhook(rw http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions || r.Method == http.MethodHead {
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxRequest))
	if err != nil {
		http.Error(rw, "body cannot be read", http.StatusBadRequest)
		return
	}
	item := Item{
		Kind:      KindWebhook,
		Method:    r.Method,
		Path:      r.URL.RequestURI(),
		Headers:   flatten(r.Header),
		Body:      asJSON(body),
		WebhookID: r.Header.Get("webhook-id"),
	}
	if len(w.secrets) > 0 {
		verified := verify(w.secrets, body, r.Header)
		item.Verified = &verified
	}
	w.outbox.add(item)
	rw.Header().Set("Content-Type", "application/json")
	answer := `{"ok":true}`
	if strings.HasPrefix(r.URL.Path, pendingPath) {
		answer = `{"status":"pending"}`
	}
	_, _ = io.WriteString(rw, answer)
}

// asJSON returns the body as it is if it is JSON, and as a JSON string if it is not.
func asJSON(body []byte) json.RawMessage {
	if len(body) == 0 {
		return nil
	}
	if json.Valid(body) {
		return body
	}
	text, err := json.Marshal(strings.ToValidUTF8(string(body), "\uFFFD"))
	if err != nil {
		return nil
	}
	return text
}

func verify(secrets []string, body []byte, header http.Header) bool {
	for _, secret := range secrets {
		verifier, err := standardwebhooks.NewWebhook(secret)
		if err == nil && verifier.Verify(body, header) == nil {
			return true
		}
	}
	return false
}

// flatten spells header names in lower case and joins their values.
func flatten(h http.Header) map[string]string {
	flat := make(map[string]string, len(h))
	for name, values := range h {
		flat[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return flat
}
