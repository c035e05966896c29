// Package baseline is the program that an engineer writes by hand where there is no Rollcall: an
// event comes in, a condition is asked of its user, and a Temporal workflow sets a property, sends a
// webhook, waits a second and sends another. It comes in two shapes: the fastest that Temporal has for
// it, with local activities and a start that hands the first task to the worker of the same process,
// and the usual one with regular activities.
//
// It keeps no ledger, takes no other workflow and shows no timeline. What it does it does as
// carefully as Rollcall: an event is on disk before it is accepted, a property before the step is
// done, and each webhook has an id that its repetitions share.
//
// Floor 2. Only rollcall-bench imports it.
package baseline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"rollcall/connect/webhook"
)

// TaskQueue is where the program's work is queued.
const TaskQueue = "baseline"

// Config is what Open needs.
type Config struct {
	DatabaseURL string // of a database of its own
	Temporal    client.Options
	Regular     bool // regular activities and starts, instead of local and eager ones
	Webhook     *webhook.Sender
	Secrets     []string // sign the webhooks
	URL         string   // where webhooks go: URL/1/<user> and URL/2/<user>
}

// Program is the running program: its database, its client and its worker.
type Program struct {
	config   Config
	pool     *pgxpool.Pool
	temporal client.Client
	worker   worker.Worker
}

const schema = `
create table if not exists users (
  id         text primary key,
  properties jsonb not null,
  updated_at timestamptz not null default now()
);
create table if not exists events (
  id          text primary key,
  user_id     text not null references users,
  name        text not null,
  received_at timestamptz not null default now()
);`

// Open makes the tables where they are missing and starts the worker.
func Open(ctx context.Context, c Config) (*Program, error) {
	p := &Program{config: c}
	if err := p.open(ctx); err != nil {
		p.Close()
		return nil, fmt.Errorf("baseline: %w", err)
	}
	return p, nil
}

func (p *Program) open(ctx context.Context) error {
	pool, err := pgxpool.ParseConfig(p.config.DatabaseURL)
	if err != nil {
		return errors.New("the address of PostgreSQL is not valid") // the parser's error may show the password
	}
	pool.MaxConns = 20
	pool.ConnConfig.RuntimeParams["application_name"] = "baseline"
	pool.ConnConfig.RuntimeParams["synchronous_commit"] = "on"
	if p.pool, err = pgxpool.NewWithConfig(ctx, pool); err != nil {
		return err
	}
	if _, err := p.pool.Exec(ctx, schema); err != nil {
		return err
	}
	if p.temporal, err = client.DialContext(ctx, p.config.Temporal); err != nil {
		return err
	}
	p.worker = worker.New(p.temporal, TaskQueue, worker.Options{WorkerStopTimeout: 10 * time.Second})
	p.worker.RegisterWorkflow(Onboard)
	p.worker.RegisterWorkflow(OnboardRegular)
	p.worker.RegisterActivity(&Activities{p})
	if err := p.worker.Start(); err != nil {
		p.worker = nil
		return err
	}
	return nil
}

// workflowName is the type of its workflow in Temporal.
func (p *Program) workflowName() string {
	if p.config.Regular {
		return "OnboardRegular"
	}
	return "Onboard"
}

// Close stops the worker and disconnects.
func (p *Program) Close() {
	if p.worker != nil {
		p.worker.Stop()
	}
	if p.temporal != nil {
		p.temporal.Close()
	}
	if p.pool != nil {
		p.pool.Close()
	}
}

// AddUsers inserts users, each with the same properties.
func (p *Program) AddUsers(ctx context.Context, ids []string, properties map[string]any) error {
	_, err := p.pool.Exec(ctx, `insert into users (id, properties) select unnest($1::text[]), $2`, ids, properties)
	return err
}

// Event takes an event: it writes it down, asks the condition of its user and starts the workflow.
// It returns when the event was on disk. An event that is there already starts nothing again.
func (p *Program) Event(ctx context.Context, id, userID string) (accepted time.Time, err error) {
	var plan string
	err = p.pool.QueryRow(ctx, `
		with event as (insert into events (id, user_id, name) values ($1, $2, 'signed_up'))
		select coalesce(properties ->> 'bench_plan', '') from users where id = $2`, id, userID).Scan(&plan)
	if err != nil {
		return time.Time{}, fmt.Errorf("write event %s: %w", id, err)
	}
	accepted = time.Now()
	if plan != "pro" {
		return accepted, nil
	}
	_, err = p.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: "onboard/" + userID, TaskQueue: TaskQueue, EnableEagerStart: !p.config.Regular,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
	}, p.workflowName(), userID)
	if err != nil {
		return accepted, fmt.Errorf("start for event %s: %w", id, err)
	}
	return accepted, nil
}

// Verify returns how many of the users have the property that the workflow sets, and how many of
// their workflows have completed.
func (p *Program) Verify(ctx context.Context, ids []string, since time.Time) (set, completed int, err error) {
	err = p.pool.QueryRow(ctx, `
		select count(*) from users where id = any($1) and properties ->> 'bench_state' = 'active'`, ids).Scan(&set)
	if err != nil {
		return 0, 0, err
	}
	query := fmt.Sprintf("WorkflowType = '%s' and ExecutionStatus = 'Completed' and StartTime >= '%s'",
		p.workflowName(), since.UTC().Format(time.RFC3339Nano))
	count, err := p.temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: query})
	if err != nil {
		return set, 0, err
	}
	return set, int(count.Count), nil
}

// Onboard is the workflow in its fastest shape.
func Onboard(ctx workflow.Context, userID string) error {
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: 5 * time.Second, RetryPolicy: retries(),
	})
	return onboard(ctx, userID, workflow.ExecuteLocalActivity)
}

// OnboardRegular is the workflow in its usual shape.
func OnboardRegular(ctx workflow.Context, userID string) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 5 * time.Second, RetryPolicy: retries(),
	})
	return onboard(ctx, userID, workflow.ExecuteActivity)
}

func retries() *temporal.RetryPolicy {
	return &temporal.RetryPolicy{InitialInterval: time.Second, MaximumInterval: time.Minute}
}

func onboard(ctx workflow.Context, userID string, execute func(workflow.Context, any, ...any) workflow.Future) error {
	var a *Activities
	if err := execute(ctx, a.SetProperty, userID).Get(ctx, nil); err != nil {
		return err
	}
	if err := execute(ctx, a.SendWebhook, userID, 1).Get(ctx, nil); err != nil {
		return err
	}
	if err := workflow.Sleep(ctx, time.Second); err != nil {
		return err
	}
	return execute(ctx, a.SendWebhook, userID, 2).Get(ctx, nil)
}

// Activities are what the workflow does to the world.
type Activities struct{ program *Program }

// SetProperty writes the property.
func (a *Activities) SetProperty(ctx context.Context, userID string) error {
	_, err := a.program.pool.Exec(ctx, `
		update users set properties = properties || '{"bench_state": "active"}', updated_at = now() where id = $1`, userID)
	return err
}

// SendWebhook sends the first or the second webhook.
func (a *Activities) SendWebhook(ctx context.Context, userID string, n int) error {
	body, err := json.Marshal(map[string]string{"user_id": userID})
	if err != nil {
		return err
	}
	_, err = a.program.config.Webhook.Send(ctx, webhook.Request{
		ID:   fmt.Sprintf("onboard/%s/%d", userID, n),
		URL:  fmt.Sprintf("%s/%d/%s", a.program.config.URL, n, userID),
		Body: body, Secrets: a.program.config.Secrets,
	})
	return err
}
