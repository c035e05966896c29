package app_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
)

// record adds histories to those that package workflows replays. One that is there is kept for ever, as
// it was recorded: a change that needs it recorded anew would break enrollments that run. What is new in
// the interpreter gets a history with a name of its own.
var record = flag.Bool("record", false, "add the histories of this run that workflows/testdata/histories does not have yet")

// recording starts a service for a test whose only purpose is a history.
func recording(t *testing.T) *service {
	t.Helper()
	if !*record {
		t.Skip("records a history, with -record")
	}
	return start(t)
}

// keepHistory writes the history of the last run of a Temporal workflow under a name, where that is asked
// for and the name is not taken.
func (s *service) keepHistory(workflowID, name string) {
	s.t.Helper()
	s.keepRun(workflowID, "", name)
}

// keepRun does so with one of the runs. A long history is compressed.
func (s *service) keepRun(workflowID, runID, name string) {
	s.t.Helper()
	if !*record {
		return
	}
	s.until("the run is closed", func() bool { return s.describe(workflowID, runID).CloseTime != nil })
	var history historypb.History
	events := s.temporal.GetWorkflowHistory(s.ctx, workflowID, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(s.t, err)
		history.Events = append(history.Events, event)
	}
	text, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(&history)
	require.NoError(s.t, err)
	file := name + ".json"
	if len(text) > 100_000 {
		file, text = file+".gz", compressed(s.t, text)
	}
	s.add(filepath.Join("..", "workflows", "testdata", "histories", file), text)
}

// add writes a file that is not there yet.
func (s *service) add(path string, text []byte) {
	s.t.Helper()
	require.NoError(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		s.t.Logf("%s is kept as it was recorded", path)
		return
	}
	require.NoError(s.t, err)
	_, err = file.Write(text)
	require.NoError(s.t, errors.Join(err, file.Close()))
}

func compressed(tb testing.TB, text []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(text)
	require.NoError(tb, errors.Join(err, w.Close()))
	return b.Bytes()
}
