package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/proto"
)

// historySamples is how many users go through each workflow.
const historySamples = 3

// markStep is the step that every workflow of the measurement has: an action, with which most end.
const markStep = "mark"

// history is what steps add to the histories that Temporal keeps: the medians of what is in the
// history of an enrollment with the step and not in that of one without it. The bytes hold the step's
// share of the program that an enrollment starts with.
type history struct {
	Alone footprint       `json:"enrollment_with_one_action"`
	Steps []stepOfHistory `json:"steps"`
}

// footprint is how large a history is.
type footprint struct {
	Events float64 `json:"events"`
	Bytes  float64 `json:"bytes"`
}

type stepOfHistory struct {
	What string `json:"what"`
	footprint
	budget string
}

// histories is the measurement under way.
type histories struct {
	*bench
	*service
	probes []probe // the first has no step but the one that all have
}

func measureHistory(ctx context.Context, b *bench) (_ result, err error) {
	s, err := b.serveAlone(ctx, "history")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	h := &histories{b, s, append([]probe{{}}, b.sink.probes()...)}
	if err := h.prepare(ctx); err != nil {
		return nil, err
	}
	if err := h.pass(ctx); err != nil {
		return nil, err
	}
	var all []footprint
	err = s.withTemporal(func(c client.Client) (err error) {
		all, err = h.footprints(ctx, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	r := &history{Alone: all[0]}
	for i, p := range h.probes[1:] {
		of := footprint{all[i+1].Events - r.Alone.Events, all[i+1].Bytes - r.Alone.Bytes}
		r.Steps = append(r.Steps, stepOfHistory{p.what, of, p.budget})
	}
	return r, nil
}

// definitionOf and userOf name the workflow of a probe and the users who go through it.
func definitionOf(probe int) string   { return fmt.Sprintf("probe-%d", probe) }
func userOf(probe, sample int) string { return fmt.Sprintf("u-%d-%d", probe, sample) }

// prepare adds the users and publishes a workflow for each probe.
func (h *histories) prepare(ctx context.Context) error {
	err := h.declare(ctx, map[string]string{"bench_plan": "string", "bench_state": "string", "bench_due": "datetime"})
	if err != nil {
		return err
	}
	var users []any
	due := time.Now().Add(time.Minute).UTC().Format(time.RFC3339)
	for i := range h.probes {
		for j := range historySamples {
			users = append(users, object{"id": userOf(i, j), "properties": object{"first_name": "Ada", "bench_plan": "pro", "bench_due": due}})
		}
	}
	if err := h.batch(ctx, "/v1/users/batch", users); err != nil {
		return err
	}
	mark := object{"id": markStep, "action": "set_property", "with": object{"property": "bench_state", "value": "active"}}
	asleep := []any{object{"id": "sleep", "delay": "1h"}}
	for _, name := range []string{entered, left} {
		if err := h.publish(ctx, manual(name, asleep)); err != nil {
			return err
		}
	}
	for i, p := range h.probes {
		steps := append(append([]any{}, p.steps...), mark)
		if p.behind {
			steps = append([]any{mark}, p.steps...)
		}
		if err := h.publish(ctx, manual(definitionOf(i), steps)); err != nil {
			return fmt.Errorf("%s: %w", p.what, err)
		}
	}
	return h.evaluated(ctx)
}

// manual is a workflow that enrolls on request.
func manual(name string, steps []any) object {
	return object{"name": name, "triggers": []any{object{"manual": true}}, "steps": steps}
}

// pass lets the users pass, all at the same time, and sends the events that steps wait for.
func (h *histories) pass(ctx context.Context) error {
	for i, p := range h.probes {
		for j := range historySamples {
			names := []string{definitionOf(i)}
			if p.what == "unenroll" {
				names = []string{left, definitionOf(i)}
			}
			for _, name := range names {
				if err := h.post(ctx, "/v1/workflows/"+name+"/enrollments", object{"user_id": userOf(i, j)}, nil); err != nil {
					return err
				}
			}
		}
	}
	for i, p := range h.probes {
		if p.event == "" {
			continue
		}
		if err := h.awaited(ctx, i); err != nil {
			return err
		}
		for j := range historySamples {
			if err := h.post(ctx, "/v1/events", object{"name": p.event, "user_id": userOf(i, j)}, nil); err != nil {
				return err
			}
		}
	}
	want := historySamples * len(h.probes)
	return until(ctx, h.progress, func() (done bool, state string, err error) {
		n, err := h.count(ctx, `select count(*) from enrollments where definition like 'probe-%' and status = 'completed'`)
		return n == want, fmt.Sprintf("history: %d of %d enrollments have completed; some wait for a minute", n, want), err
	})
}

// awaited returns when all users of a probe wait.
func (h *histories) awaited(ctx context.Context, probe int) error {
	return until(ctx, h.progress, func() (done bool, state string, err error) {
		n, err := h.count(ctx, `
			select count(*) from visits v join enrollments e on e.id = v.enrollment_id
			where e.definition = $1 and v.status = 'waiting'`, definitionOf(probe))
		return n == historySamples, fmt.Sprintf("history: %d of %d users wait for an event", n, historySamples), err
	})
}

// footprints are the medians for each probe.
func (h *histories) footprints(ctx context.Context, c client.Client) ([]footprint, error) {
	var all []footprint
	for i, p := range h.probes {
		var events, bytes []float64
		for j := range historySamples {
			f, err := footprintOf(ctx, c, fmt.Sprintf("%s/%s/1", definitionOf(i), userOf(i, j)))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.what, err)
			}
			events, bytes = append(events, f.Events), append(bytes, f.Bytes)
		}
		all = append(all, footprint{median(events), median(bytes)})
	}
	return all, nil
}

// footprintOf measures the history of a Temporal workflow, which must have completed in one run.
func footprintOf(ctx context.Context, c client.Client, id string) (f footprint, err error) {
	var last enumspb.EventType
	events := c.GetWorkflowHistory(ctx, id, "", true, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			return f, fmt.Errorf("history of %s: %w", id, err)
		}
		f.Events++
		f.Bytes += float64(proto.Size(event))
		last = event.EventType
	}
	if last != enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED {
		err = fmt.Errorf("the history of %s ends with %s", id, last)
	}
	return f, err
}

func (h *history) enter(r *report) { r.History = h }

func (h *history) write(w io.Writer) error {
	rows := [][]string{{"", "events", "KiB", "budget"}}
	add := func(what string, f footprint, budget string) {
		rows = append(rows, []string{what, fmt.Sprintf("%.0f", f.Events), fmt.Sprintf("%.2f", f.Bytes/1024), budget})
	}
	add("an enrollment with one action, in all", h.Alone, "")
	for _, s := range h.Steps {
		add(s.What, s.footprint, s.budget)
	}
	return table(w, "history: what a step adds", rows)
}
