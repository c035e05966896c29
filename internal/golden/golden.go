// Package golden compares what comes out of a test with what a file says. Only tests import it.
//
// Floor 0: imports nothing else of Rollcall. A golden file has what is given, a line of ten dashes,
// and what is to come of it. "go test -update" writes what comes out below the line, for its author
// to read in the diff.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write what comes out into the golden files")

const line = "----------\n"

// Run runs a subtest for each file that matches the pattern, of which there must be one, named for
// the file: what outcome makes of the given part must be the rest.
func Run(t *testing.T, pattern string, outcome func(t *testing.T, given string) string) {
	t.Helper()
	for _, file := range Files(t, pattern) {
		t.Run(strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".txt"), "_", " "), func(t *testing.T) {
			t.Parallel()
			given, want := Read(t, file)
			got := outcome(t, given)
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(given+line+got), 0o600))
				return
			}
			require.Equal(t, want, got)
		})
	}
}

// Files lists the golden files that match a pattern. There must be one.
func Files(tb testing.TB, pattern string) []string {
	tb.Helper()
	files, err := filepath.Glob(pattern)
	require.NoError(tb, err)
	require.NotEmpty(tb, files, "no file is %s", pattern)
	return files
}

// Read reads what is given in a golden file, and what is to come of it.
func Read(tb testing.TB, file string) (given, want string) {
	tb.Helper()
	text, err := os.ReadFile(file)
	require.NoError(tb, err)
	given, want, found := strings.Cut(string(text), line)
	require.True(tb, found, "%s has no line %q", file, line)
	return given, want
}

// Updating reports whether the files are being written, and so cannot be read.
func Updating() bool { return *update }
