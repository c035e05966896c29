package triggers

import (
	"context"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
)

// maxSkips ends the skipping of an enrollment that loops without end; then it waits like any other.
const maxSkips = 2000

type timeSkipping struct{}

// WithTimeSkipping makes the Temporal workflow that is started under the context one whose waits Temporal
// skips. The client must have the interceptor SkipTime.
func WithTimeSkipping(ctx context.Context) context.Context {
	return context.WithValue(ctx, timeSkipping{}, true)
}

// SkipTime is an interceptor of a Temporal client. The SDK has no option for it.
func SkipTime(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if start, ok := request.(*workflowservice.StartWorkflowExecutionRequest); ok && ctx.Value(timeSkipping{}) != nil {
		start.TimeSkippingConfig = &commonpb.TimeSkippingConfig{Enabled: true, MaxSessionSkipCount: maxSkips}
	}
	return invoke(ctx, method, request, reply, conn, options...)
}
