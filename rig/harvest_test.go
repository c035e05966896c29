//go:build unix

package rig_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"rollcall/rig"
)

// records reads what PostgreSQL and Temporal hold, directly and not through the service.
type records struct {
	pool     *pgxpool.Pool
	temporal client.Client
	programs []*rig.Program
}

func rows[T any](ctx context.Context, r *records, sql string) ([]T, error) {
	found, err := r.pool.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(found, pgx.RowToStructByPos[T])
	if err != nil {
		return nil, fmt.Errorf("read %T: %w", *new(T), err)
	}
	return list, nil
}

// harvest reads everything that evidence is made of but what the test itself knows.
func (r *records) harvest(ctx context.Context) (*rig.Evidence, error) {
	e := &rig.Evidence{At: time.Now(), Counters: map[string]map[string]int{}, Running: map[string]bool{}}
	var err error
	read := func(f func() error) {
		if err == nil {
			err = f()
		}
	}
	const epoch = `'0001-01-01Z'::timestamptz` // Go's zero time
	read(func() (err error) {
		e.Events, err = rows[rig.Event](ctx, r, `select seq, id, user_id, name, received_at, coalesce((properties ->> 'n')::int, 0) from events order by seq`)
		return err
	})
	read(func() (err error) {
		e.Changes, err = rows[rig.Change](ctx, r, `select id, user_id, property, old, new, at, source from changes order by id`)
		return err
	})
	read(func() (err error) {
		e.Versions, err = rows[rig.Version](ctx, r, `
			select definition, number, published_at, coalesce(retired_at, `+epoch+`) from versions order by definition, number`)
		return err
	})
	read(func() (err error) {
		e.Decisions, err = rows[rig.Decision](ctx, r, `
			select definition, user_id, version, at, outcome, reason, coalesce(enrollment_id::text, ''), trigger from decisions order by id`)
		return err
	})
	read(func() (err error) {
		e.Enrollments, err = rows[rig.Enrollment](ctx, r, `
			select id::text, definition, user_id, version, ordinal, status, coalesce(event ->> 'id', ''), created_at,
				coalesce(started_at, `+epoch+`), coalesce(ended_at, `+epoch+`), handed_at is not null, coalesce(run_id::text, '')
			from enrollments order by user_id, definition, ordinal`)
		return err
	})
	read(func() (err error) {
		e.Visits, err = rows[rig.Visit](ctx, r, `
			select enrollment_id::text, step, visit, kind, status, coalesce(seq, 0), started_at, coalesce(finished_at, `+epoch+`),
				coalesce(until, `+epoch+`), coalesce(output ->> 'outcome', ''), coalesce(output #>> '{event,id}', ''),
				coalesce((output ->> 'arm')::int, -1)
			from visits order by enrollment_id, started_at, coalesce(finished_at, 'infinity')`)
		return err
	})
	read(func() (err error) {
		e.Runs, err = rows[rig.Run](ctx, r, `
			select id::text, definition, trigger, nominal, status, due_at, matched, enrolled from runs where kind = 'schedule' order by due_at`)
		return err
	})
	read(func() error { return r.counters(ctx, e) })
	read(func() error {
		return r.pool.QueryRow(ctx, `select (select count(*) from work_items), (select count(*) from commands)`).Scan(&e.Items, &e.Commands)
	})
	read(func() error { return r.executions(ctx, e) })
	return e, err
}

func (r *records) counters(ctx context.Context, e *rig.Evidence) error {
	users, err := rows[struct {
		ID         string
		Properties map[string]any
	}](ctx, r, `select id, properties from users`)
	for _, u := range users {
		e.Counters[u.ID] = map[string]int{}
		for _, name := range rig.Counters(r.programs) {
			n, _ := u.Properties[name].(float64)
			e.Counters[u.ID][name] = int(n)
		}
	}
	return err
}

// executions asks Temporal about each enrollment, and for a list of what runs. It is asked for each by its
// id, because lists lag behind.
func (r *records) executions(ctx context.Context, e *rig.Evidence) error {
	for i := range e.Enrollments {
		id := e.Enrollments[i].WorkflowID()
		status, err := r.execution(ctx, id)
		if err != nil {
			return fmt.Errorf("describe %s: %w", id, err)
		}
		if status != enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED {
			e.Running[id] = status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
		}
	}
	list, err := r.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Query: "ExecutionStatus = 'Running' and WorkflowType = 'Enrollment'", PageSize: 1000,
	})
	if err != nil {
		return fmt.Errorf("list what runs: %w", err)
	}
	for _, x := range list.Executions {
		e.Open = append(e.Open, x.Execution.WorkflowId)
	}
	return nil
}

// execution is the status of an execution; unspecified where Temporal knows none. It asks again where
// Temporal has no answer: one in a hundred calls of its store fails.
func (r *records) execution(ctx context.Context, id string) (status enumspb.WorkflowExecutionStatus, err error) {
	for range 5 {
		var found *workflowservice.DescribeWorkflowExecutionResponse
		found, err = r.temporal.DescribeWorkflowExecution(ctx, id, "")
		if err == nil {
			return found.WorkflowExecutionInfo.Status, nil
		}
		if _, unknown := errors.AsType[*serviceerror.NotFound](err); unknown {
			return enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED, nil
		}
		if !wait(ctx, 100*time.Millisecond) {
			break
		}
	}
	return enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED, err
}

// standing is how far everything is: two that are equal mean that nothing moved in between, but for the
// schedule, which fires each minute.
type standing struct{ Items, Commands, Ending, Beginning, Visits, Done, Attempts int }

// quiet says that there is nothing left to do.
func (s standing) quiet() bool { return s.Items+s.Commands+s.Ending+s.Beginning == 0 }

// moves is what of it does not change by the schedule.
func (s standing) moves() [3]int { return [3]int{s.Visits, s.Done, s.Attempts} }

func (r *records) standing(ctx context.Context) (s standing, err error) {
	var ends []string
	for _, p := range r.programs {
		if p.Ends {
			ends = append(ends, p.Name)
		}
	}
	err = r.pool.QueryRow(ctx, `
		with moved as (select v.* from visits v join enrollments e on e.id = v.enrollment_id where e.definition <> $2)
		select (select count(*) from work_items),
			(select count(*) from commands) + (select count(*) from interventions i join enrollments e on e.id = i.enrollment_id where outcome = '' and ended_at is null),
			(select count(*) from enrollments where ended_at is null and definition = any($1)),
			(select count(*) from enrollments where ended_at is null and definition <> all($1) and waiting_until is null),
			(select count(*) from moved), (select count(*) from moved where status = 'done'), (select coalesce(sum(attempts), 0) from moved)`,
		ends, rig.Rounds).Scan(&s.Items, &s.Commands, &s.Ending, &s.Beginning, &s.Visits, &s.Done, &s.Attempts)
	return s, err
}

// settle waits until all is quiet. It gives up when nothing has moved for the length of patience.
func (r *records) settle(ctx context.Context, patience time.Duration) error {
	var last standing
	moved := time.Now()
	for {
		s, err := r.standing(ctx)
		switch {
		case err != nil: // PostgreSQL was killed a moment ago
			last = standing{}
		case s.quiet():
			return nil
		case s.moves() != last.moves():
			last, moved = s, time.Now()
		case time.Since(moved) > patience:
			return fmt.Errorf("stuck: nothing has moved for %s: %+v", patience, s)
		}
		if !wait(ctx, 100*time.Millisecond) {
			return fmt.Errorf("not quiet in time: %+v", last)
		}
	}
}

// dump is what is open, for whoever has to find out why nothing moves.
func (r *records) dump(ctx context.Context) string {
	var b strings.Builder
	for _, sql := range []string{
		`select definition || '/' || user_id || '/' || ordinal || ' v' || version || ' ' || status || ' step=' || step || ' handed=' || coalesce(handed_at::text, '-')
			|| ' until=' || coalesce(waiting_until::text, '-') || ' visits=' || coalesce((select string_agg(step || ':' || v.status || ':' || v.attempts || ' ' || v.error, ', ' order by v.started_at)
				from visits v where v.enrollment_id = e.id), '')
			from enrollments e where ended_at is null and (definition <> 'members' or waiting_until is null) order by 1 limit 50`,
		`select 'item ' || to_jsonb(w)::text from work_items w limit 20`,
		`select 'command ' || to_jsonb(c)::text from commands c limit 20`,
		`select 'backend ' || state || ' ' || coalesce(wait_event, '') || ' since ' || state_change || ' ' || left(query, 120)
			from pg_stat_activity where datname = 'rollcall' and state <> 'idle' limit 40`,
	} {
		lines, err := rows[struct{ Line string }](ctx, r, sql)
		for _, l := range lines {
			b.WriteString(l.Line + "\n")
		}
		if err != nil {
			fmt.Fprintln(&b, err)
		}
	}
	list, err := r.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Query: "ExecutionStatus = 'Running' and WorkflowType = 'Enrollment' and RollcallWorkflow != 'members'", PageSize: 20,
	})
	if err != nil {
		return b.String() + err.Error()
	}
	for _, x := range list.Executions {
		found, err := r.temporal.DescribeWorkflowExecution(ctx, x.Execution.WorkflowId, "")
		if err != nil {
			continue
		}
		fmt.Fprintf(&b, "temporal %s events=%d task=%v activities=%v\n", x.Execution.WorkflowId, found.WorkflowExecutionInfo.HistoryLength, found.PendingWorkflowTask, found.PendingActivities)
	}
	return b.String()
}

// terminate ends half of the service's connections to its database.
func (r *records) terminate(ctx context.Context) error {
	_, err := r.pool.Exec(ctx, `
		select pg_terminate_backend(pid) from pg_stat_activity
		where datname = 'rollcall' and application_name is distinct from 'rig' and pid % 2 = 0`)
	return err
}
