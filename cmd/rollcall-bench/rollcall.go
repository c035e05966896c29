package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// product is the side of Rollcall: the whole service, called over HTTP as anybody calls it.
type product struct {
	*bench
	*service
	at *place // where it is in every round
}

func (r *product) name() string { return rollcallSide }

func (r *product) open(ctx context.Context) (err error) {
	first := r.at == nil
	if first {
		if r.at, err = r.newPlace(ctx, "onboard"); err != nil {
			return err
		}
	}
	if r.service, err = r.serve(ctx, r.at); err != nil || !first {
		return err
	}
	err = r.declare(ctx, map[string]string{"bench_plan": "string", "bench_state": "string"})
	if err == nil {
		err = r.publish(ctx, r.document())
	}
	if err != nil {
		return errors.Join(err, r.close())
	}
	return nil
}

// onboardingName is that of the workflow that is measured.
const onboardingName = "bench-onboard"

func (r *product) document() object {
	return object{
		"name": onboardingName, "title": "Onboard a user who signed up",
		"triggers": []any{object{
			"event": "signed_up", "where": object{"property": "bench_plan", "op": "equals", "value": "pro"},
		}},
		"steps": []any{
			object{"id": "mark", "action": "set_property", "with": object{"property": "bench_state", "value": "active"}},
			r.sink.step("hello", 1),
			object{"id": "settle", "delay": "1s"},
			r.sink.step("again", 2),
		},
	}
}

func (r *product) addUsers(ctx context.Context, ids []string) error {
	for chunk := range slices.Chunk(ids, 500) {
		items := make([]any, len(chunk))
		for i, id := range chunk {
			items[i] = object{"id": id, "properties": properties()}
		}
		if err := r.batch(ctx, "/v1/users/batch", items); err != nil {
			return err
		}
	}
	return r.evaluated(ctx)
}

func (r *product) event(ctx context.Context, user string) (accepted time.Time, err error) {
	err = r.call(ctx, http.MethodPost, "/v1/events", object{"id": "e-" + user, "name": "signed_up", "user_id": user}, nil)
	return time.Now(), err
}

func (r *product) verify(ctx context.Context, users []string, _ time.Time) error {
	return eventually(ctx, func() error {
		var set, completed, visits int
		err := r.conn.QueryRow(ctx, `
			select (select count(*) from users where id = any($1) and properties ->> 'bench_state' = 'active'),
				(select count(*) from enrollments where user_id = any($1) and definition = $2 and status = 'completed'),
				(select count(*) from visits v join enrollments e on e.id = v.enrollment_id
				 where e.user_id = any($1) and e.definition = $2 and v.status = 'done')`,
			users, onboardingName).Scan(&set, &completed, &visits)
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
