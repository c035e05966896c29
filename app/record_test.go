package app_test

import (
	"flag"
	"os"
	"path/filepath"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
)

// record rewrites the histories that package workflows replays. A released one is kept for ever:
// a change that needs it rewritten would break enrollments that run.
var record = flag.Bool("record", false, "write the histories of this run into workflows/testdata/histories")

// keepHistory writes the history of a Temporal workflow under a name, where that is asked for.
func (s *service) keepHistory(workflowID, name string) {
	s.t.Helper()
	if !*record {
		return
	}
	var history historypb.History
	events := s.temporal.GetWorkflowHistory(s.ctx, workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(s.t, err)
		history.Events = append(history.Events, event)
	}
	text, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(&history)
	require.NoError(s.t, err)
	dir := filepath.Join("..", "workflows", "testdata", "histories")
	require.NoError(s.t, os.MkdirAll(dir, 0o755))
	require.NoError(s.t, os.WriteFile(filepath.Join(dir, name+".json"), append(text, '\n'), 0o644))
}
