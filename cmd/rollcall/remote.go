package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"rollcall/api"
	"rollcall/automation"
)

// remote is an API that answers elsewhere.
type remote struct{ base, key string }

const (
	defaultRemote = "http://127.0.0.1:8080"
	whereRemote   = "ROLLCALL_API is where the API answers, " + defaultRemote + " if it is empty, and ROLLCALL_API_KEY the key for it."
)

func remoteOf(getenv func(string) string) remote {
	return remote{base: or(getenv("ROLLCALL_API"), defaultRemote), key: getenv("ROLLCALL_API_KEY")}
}

// refusal is an answer of the API that is none.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

// get reads what stands at a path into a value.
func (r remote) get(ctx context.Context, path string, into any) error {
	return r.do(ctx, http.MethodGet, path, nil, into)
}

// post sends a body and reads the answer into a value.
func (r remote) post(ctx context.Context, path string, body, into any) error {
	return r.do(ctx, http.MethodPost, path, body, into)
}

// do makes a request, without a body where that is nil, and reads the answer, which is of no interest
// where into is nil. It returns an *InvalidError where the API names problems.
func (r remote) do(ctx context.Context, method, path string, body, into any) error {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("write the request: %w", err)
		}
		content = bytes.NewReader(text)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(r.base, "/")+path, content)
	if err != nil {
		return fmt.Errorf("address of the API: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.key != "" {
		req.Header.Set("Authorization", "Bearer "+r.key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask the API: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		var problem api.ProblemDetails
		_ = json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&problem)
		if len(problem.Problems) > 0 {
			return &automation.InvalidError{What: "the request", Problems: problem.Problems}
		}
		return &refusal{resp.StatusCode, fmt.Sprintf("the API answers %s: %s", resp.Status, printable(problem.Detail))}
	}
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("read the answer of the API: %w", err)
	}
	return nil
}
