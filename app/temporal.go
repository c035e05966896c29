package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"rollcall/workflows"
)

// PrepareTemporal registers the search attributes of enrollments. Doing it again is harmless. It
// waits for Temporal until the context ends.
func PrepareTemporal(ctx context.Context, options client.Options) error {
	c, err := client.NewLazyClient(options)
	if err != nil {
		return fmt.Errorf("temporal client: %w", err)
	}
	defer c.Close()
	namespace := options.Namespace
	if namespace == "" {
		namespace = client.DefaultNamespace
	}
	request := &operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: map[string]enumspb.IndexedValueType{
		workflows.WorkflowAttribute.GetName(): enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		workflows.VersionAttribute.GetName():  enumspb.INDEXED_VALUE_TYPE_INT,
		workflows.UserAttribute.GetName():     enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		workflows.StepAttribute.GetName():     enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	}}
	for {
		_, err := c.OperatorService().AddSearchAttributes(ctx, request)
		if _, exists := errors.AsType[*serviceerror.AlreadyExists](err); err == nil || exists {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("register search attributes: %w", err)
		case <-time.After(500 * time.Millisecond):
		}
	}
}
