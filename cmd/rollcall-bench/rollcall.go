package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"runtime/pprof"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/app"
)

// product is the side of Rollcall: the whole service, called over HTTP as anybody calls it.
type product struct {
	*machine
	published bool

	service *app.App
	http    *http.Client
	stop    context.CancelFunc
	stopped chan error
}

func (r *product) name() string { return "rollcall" }

func (r *product) open(ctx context.Context) (err error) {
	pprof.Do(ctx, pprof.Labels("part", r.name()), func(ctx context.Context) {
		r.service, err = app.New(ctx, app.Config{
			DatabaseURL: r.stack.DatabaseURL, Listen: "127.0.0.1:0", API: true, Worker: true,
			Log: r.log, Temporal: r.temporal(),
			WebhookSecrets: []string{secret}, AllowAddrs: []netip.AddrPort{r.sink.addr},
		})
		if err != nil {
			return
		}
		running, stop := context.WithCancel(ctx)
		r.stop, r.stopped = stop, make(chan error, 1)
		go func() { r.stopped <- r.service.Run(running) }()
	})
	if err != nil {
		return err
	}
	r.http = &http.Client{
		Transport: &http.Transport{MaxIdleConns: 512, MaxIdleConnsPerHost: 512, IdleConnTimeout: time.Minute},
		Timeout:   30 * time.Second,
	}
	if err := r.publish(ctx); err != nil {
		return errors.Join(err, r.close())
	}
	return nil
}

// publish declares the properties and publishes the workflow, once: where the sink listens does not
// change.
func (r *product) publish(ctx context.Context) error {
	if r.published {
		return nil
	}
	for _, name := range []string{"bench_plan", "bench_state"} {
		if err := r.call(ctx, http.MethodPut, "/v1/properties/"+name, map[string]any{"type": "string"}); err != nil {
			return err
		}
	}
	send := func(id string, n int) map[string]any {
		return map[string]any{"id": id, "action": "send_webhook", "with": map[string]any{
			"url":  fmt.Sprintf("%s/%d/{{ user.id }}", r.sink.url(), n),
			"body": map[string]any{"user_id": "{{ user.id }}"},
		}}
	}
	document := map[string]any{
		"name": workflow, "title": "Onboard a user who signed up",
		"triggers": []any{map[string]any{
			"event": "signed_up", "where": map[string]any{"property": "bench_plan", "op": "equals", "value": "pro"},
		}},
		"steps": []any{
			map[string]any{"id": "mark", "action": "set_property", "with": map[string]any{"property": "bench_state", "value": "active"}},
			send("hello", 1),
			map[string]any{"id": "settle", "delay": "1s"},
			send("again", 2),
		},
	}
	if err := r.call(ctx, http.MethodPut, "/v1/workflows/"+workflow, document); err != nil {
		return err
	}
	r.published = true
	return r.call(ctx, http.MethodPost, "/v1/workflows/"+workflow+"/publish", map[string]any{})
}

// workflow is the name of the one that is measured.
const workflow = "bench-onboard"

func (r *product) addUsers(ctx context.Context, ids []string) error {
	for chunk := range slices.Chunk(ids, 500) {
		items := make([]any, len(chunk))
		for i, id := range chunk {
			items[i] = map[string]any{"id": id, "properties": properties()}
		}
		if err := r.call(ctx, http.MethodPost, "/v1/users/batch", map[string]any{"items": items}); err != nil {
			return err
		}
	}
	return eventually(ctx, func() error {
		items, _, err := r.service.DB().Backlog(ctx)
		if err == nil && items > 0 {
			err = fmt.Errorf("%d changes wait for evaluation", items)
		}
		return err
	})
}

func (r *product) event(ctx context.Context, user string) (accepted time.Time, err error) {
	err = r.call(ctx, http.MethodPost, "/v1/events", map[string]any{"id": "e-" + user, "name": "signed_up", "user_id": user})
	return time.Now(), err
}

// call sends a request to the API. Every answer but a 2xx is an error.
func (r *product) call(ctx context.Context, method, path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+r.service.Addr()+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	answer, err := r.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	said, err := io.ReadAll(answer.Body)
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, said)
	}
	return err
}

func (r *product) verify(ctx context.Context, users []string, _ time.Time) error {
	conn, err := pgx.Connect(ctx, r.stack.DatabaseURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return eventually(ctx, func() error {
		var set, completed, visits int
		err := conn.QueryRow(ctx, `
			select (select count(*) from users where id = any($1) and properties ->> 'bench_state' = 'active'),
				(select count(*) from enrollments where user_id = any($1) and definition = $2 and status = 'completed'),
				(select count(*) from visits v join enrollments e on e.id = v.enrollment_id
				 where e.user_id = any($1) and e.definition = $2 and v.status = 'done')`,
			users, workflow).Scan(&set, &completed, &visits)
		switch {
		case err != nil:
			return err
		case set != len(users):
			return fmt.Errorf("the property is set for %d of %d users", set, len(users))
		case completed != len(users):
			return fmt.Errorf("the ledger says completed for %d of %d", completed, len(users))
		case visits != 4*len(users):
			return fmt.Errorf("the timelines have %d steps that are done, and not %d", visits, 4*len(users))
		}
		return nil
	})
}

func (r *product) close() error {
	r.stop()
	r.http.CloseIdleConnections()
	return <-r.stopped
}
