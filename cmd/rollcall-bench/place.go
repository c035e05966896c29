package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"rollcall/app"
	"rollcall/devstack/postgresql"
)

// place is a database and a namespace of Temporal that nobody else uses: what one measurement leaves
// behind burdens no other.
type place struct {
	database    string
	databaseURL string
	namespace   string
	temporal    client.Options
}

// databasePrefix begins the names of databases; what they are for ends them.
const databasePrefix = "rollcall_bench_"

// newPlace makes a place, with an empty database.
func (b *bench) newPlace(ctx context.Context, name string) (*place, error) {
	id := fmt.Sprintf("%x_%s", b.began.Unix(), name)
	p := &place{database: databasePrefix + id, namespace: "rollcall-bench-" + strings.ReplaceAll(id, "_", "-")}
	p.temporal = b.machine.options(p.namespace)
	address, err := url.Parse(b.serverURL)
	if err != nil {
		return nil, errors.New("the address of PostgreSQL is not a URL") // the parser's error may show the password
	}
	address.Path = "/" + p.database
	p.databaseURL = address.String()
	b.places = append(b.places, p)
	if err := postgresql.CreateDatabase(ctx, b.serverURL, p.database); err != nil {
		return nil, err
	}
	return p, p.makeNamespace(ctx)
}

// makeNamespace returns once the namespace finds enrollments by their attributes: the server takes a
// moment to know them everywhere.
func (p *place) makeNamespace(ctx context.Context) error {
	namespaces, err := client.NewNamespaceClient(p.temporal)
	if err != nil {
		return fmt.Errorf("make namespace %s: %w", p.namespace, err)
	}
	defer namespaces.Close()
	err = namespaces.Register(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: p.namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	if err != nil {
		return fmt.Errorf("make namespace %s: %w", p.namespace, err)
	}
	waiting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := app.PrepareTemporal(waiting, p.temporal); err != nil {
		return err
	}
	return p.withTemporal(func(c client.Client) error {
		for {
			_, err := c.CountWorkflow(waiting, &workflowservice.CountWorkflowExecutionsRequest{Query: "RollcallWorkflow = 'x'"})
			if err == nil || !pause(waiting, 50*time.Millisecond) {
				return err
			}
		}
	})
}

func (p *place) withTemporal(do func(client.Client) error) error {
	c, err := client.NewLazyClient(p.temporal)
	if err != nil {
		return fmt.Errorf("temporal client: %w", err)
	}
	defer c.Close()
	return do(c)
}

// startsTemporal reports whether Temporal is one that the command starts, and not one that is given.
func (m *machine) startsTemporal() bool { return m.server != nil || m.apart != nil }

// remove takes a place away where the servers outlive this process.
func (m *machine) remove(p *place) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var err error
	if !m.startsTemporal() {
		err = p.withTemporal(func(c client.Client) error {
			_, err := c.OperatorService().DeleteNamespace(ctx, &operatorservice.DeleteNamespaceRequest{Namespace: p.namespace})
			if _, gone := errors.AsType[*serviceerror.NamespaceNotFound](err); gone {
				return nil
			}
			return err
		})
	}
	return errors.Join(err, m.dropDatabase(ctx, p.database))
}

func (m *machine) dropDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, m.serverURL)
	if err != nil {
		return fmt.Errorf("drop database %s: %w", name, err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err = conn.Exec(ctx, "drop database if exists "+pgx.Identifier{name}.Sanitize()+" with (force)"); err != nil {
		return fmt.Errorf("drop database %s: %w", name, err)
	}
	return nil
}
