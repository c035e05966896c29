package temporald

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"
)

// retention is how long a closed workflow can still be looked at.
const retention = 7 * 24 * time.Hour

// pause is the time between two looks at something that is about to happen.
const pause = 10 * time.Millisecond

// searchAttributes are what Rollcall's workflows are found by.
func searchAttributes() map[string]enums.IndexedValueType {
	return map[string]enums.IndexedValueType{
		"RollcallWorkflow": enums.INDEXED_VALUE_TYPE_KEYWORD,
		"RollcallVersion":  enums.INDEXED_VALUE_TYPE_INT,
		"RollcallUser":     enums.INDEXED_VALUE_TYPE_KEYWORD,
		"RollcallStep":     enums.INDEXED_VALUE_TYPE_KEYWORD,
	}
}

// makeNamespace writes the namespace with its search attributes into the store before the server
// starts, so that both can be used from its first moment. A namespace that is there stays as it is.
// The function of Temporal's SQLite package works through the store's plugin, whichever that is.
func makeNamespace(stores config.Persistence, name string) error {
	namespace, err := sqlite.NewNamespaceConfig(clusterName, name, false, searchAttributes())
	if err != nil {
		return fmt.Errorf("describe namespace %s: %w", name, err)
	}
	namespace.Detail.Config.Retention = durationpb.New(retention)
	if err := sqlite.CreateNamespaces(stores.DataStores[mainStore].SQL, namespace); err != nil {
		return fmt.Errorf("make namespace %s: %w", name, err)
	}
	return nil
}

// awaitNamespace returns once the server finds workflows of the namespace by the search attributes,
// adding those that a namespace from an earlier release lacks, and once its history service answers.
func awaitNamespace(ctx context.Context, frontend, namespace string) error {
	c, err := client.NewLazyClient(client.Options{HostPort: frontend, Namespace: namespace, Logger: noLog{}})
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		asking, cancel := context.WithTimeout(ctx, 5*time.Second)
		err = ready(asking, c, namespace)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(pause):
		}
	}
}

func ready(ctx context.Context, c client.Client, namespace string) error {
	if err := addMissing(ctx, c, namespace); err != nil {
		return err
	}
	var conditions []string
	for name := range searchAttributes() {
		conditions = append(conditions, name+" is null")
	}
	_, err := c.WorkflowService().ListWorkflowExecutions(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: namespace, PageSize: 1, Query: strings.Join(conditions, " and "),
	})
	if err != nil {
		return err
	}
	// Each of these ids lives in some shard; an answer, even "not found", says that the shard serves.
	for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
		_, err := c.DescribeWorkflowExecution(ctx, "rollcall-ready-"+id, "")
		var missing *serviceerror.NotFound
		if err != nil && !errors.As(err, &missing) {
			return err
		}
	}
	return nil
}

func addMissing(ctx context.Context, c client.Client, namespace string) error {
	there, err := c.OperatorService().ListSearchAttributes(ctx,
		&operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return err
	}
	missing := searchAttributes()
	for name := range there.CustomAttributes {
		delete(missing, name)
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = c.OperatorService().AddSearchAttributes(ctx,
		&operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: missing})
	return err
}

// noLog drops what the client says while the server is still starting.
type noLog struct{}

var _ log.Logger = noLog{}

func (noLog) Debug(string, ...any) {}
func (noLog) Info(string, ...any)  {}
func (noLog) Warn(string, ...any)  {}
func (noLog) Error(string, ...any) {}
