package workflows_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/encoding/protojson"
)

// read reads a recorded history.
func read(t *testing.T, path string) *historypb.History {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	var text io.Reader = bytes.NewReader(content)
	if strings.HasSuffix(path, ".gz") {
		text, err = gzip.NewReader(text)
		require.NoError(t, err)
	}
	history, err := client.HistoryFromJSON(text, client.HistoryJSONOptions{})
	require.NoError(t, err)
	return history
}

// withoutHistory are statements that no history runs.
var withoutHistory = []string{
	"return string(e)",                                                          // the text of an error that never leaves
	"AsType[*temporal.TimeoutError]", "timeout.Message()", "return err.Error()", // no recording waits for three days of tries
	"return true, nil", // an instant that passes while the database thinks about it
}

// TestEveryPathOfTheInterpreterHasAHistory replays all recorded histories and looks which statements of
// this package they run. A new kind of step, outcome or intervention takes a path of its own, so it is
// here that its history is missed: record one, under a new name, by a test of package app that calls
// keepHistory and is run with -record. What only returns an error needs none.
func TestEveryPathOfTheInterpreterHasAHistory(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds this package once more")
	}
	profile := filepath.Join(t.TempDir(), "cover.out")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-run", "^TestRecordedHistoriesReplay$", "-coverprofile", profile, ".")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))

	var missing []string
	for _, b := range unrun(t, profile) {
		if source := sourceOf(t, b); !passesOn(source) && !excused(source) {
			missing = append(missing, fmt.Sprintf("%s:%d: %s", b.file, b.from.Line, strings.Join(strings.Fields(source), " ")))
		}
	}
	require.Empty(t, missing, "no history runs this")
}

// block is a run of statements as coverage counts them.
type block struct {
	file     string
	from, to token.Position
}

var profileLine = regexp.MustCompile(`/([^/]+\.go):(\d+)\.(\d+),(\d+)\.(\d+) (\d+) (\d+)$`)

// unrun lists the blocks of a profile that never ran.
func unrun(t *testing.T, profile string) (blocks []block) {
	t.Helper()
	text, err := os.ReadFile(profile)
	require.NoError(t, err)
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		m := profileLine.FindStringSubmatch(lines.Text())
		if m == nil || m[7] != "0" || m[6] == "0" {
			continue
		}
		n := func(i int) int { v, _ := strconv.Atoi(m[i]); return v }
		blocks = append(blocks, block{m[1], token.Position{Line: n(2), Column: n(3)}, token.Position{Line: n(4), Column: n(5)}})
	}
	return blocks
}

// sourceOf is the text of a block.
func sourceOf(t *testing.T, b block) string {
	t.Helper()
	text, err := os.ReadFile(b.file)
	require.NoError(t, err)
	lines := strings.SplitAfter(string(text), "\n")[b.from.Line-1 : b.to.Line]
	last := len(lines) - 1
	lines[last] = lines[last][:b.to.Column-1]
	lines[0] = lines[0][b.from.Column-1:]
	return strings.Join(lines, "")
}

var handsOn = regexp.MustCompile(`^\{?\s*return (.*, )?(err|fmt\.Errorf\(.*\))\s*\}?$`)

// passesOn reports whether a block does nothing but return an error, with which Temporal ends or a bug
// shows.
func passesOn(source string) bool { return handsOn.MatchString(source) }

func excused(source string) bool {
	return slices.ContainsFunc(withoutHistory, func(text string) bool { return strings.Contains(source, text) })
}

// TestEveryWordOfTheInterpreterIsInAHistory looks for the kinds of steps, and for all that the interpreter
// names: activities, signals, outcomes, interventions. Kinds that share a path are told apart here.
func TestEveryWordOfTheInterpreterIsInAHistory(t *testing.T) {
	t.Parallel()
	var recorded strings.Builder
	for _, path := range histories(t) {
		history := read(t, path)
		text, err := protojson.Marshal(history)
		require.NoError(t, err)
		recorded.Write(text)
		recorded.WriteString(payloads(text))
	}
	words := append(constants(t, "workflows.go", ""), constants(t, "runs.go", "")...)
	words = append(words, constants(t, filepath.Join("..", "automation", "step.go"), "StepKind")...)
	require.Greater(t, len(words), 30)
	missing := slices.DeleteFunc(words, func(word string) bool { return strings.Contains(recorded.String(), strconv.Quote(word)) })
	require.Empty(t, missing, "no history has it")
}

var encoded = regexp.MustCompile(`"data":\s*"([A-Za-z0-9+/=]*)"`)

// payloads are the payloads in a history that is written as JSON.
func payloads(history []byte) string {
	var all strings.Builder
	for _, m := range encoded.FindAllSubmatch(history, -1) {
		if data, err := base64.StdEncoding.DecodeString(string(m[1])); err == nil {
			all.Write(data)
		}
	}
	return all.String()
}

// constants lists the texts that a file declares as constants, those of one type where it is named.
func constants(t *testing.T, file, ofType string) (texts []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	require.NoError(t, err)
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		of, _ := spec.Type.(*ast.Ident)
		for _, v := range spec.Values {
			literal, isText := v.(*ast.BasicLit)
			if !isText || literal.Kind != token.STRING || ofType != "" && (of == nil || of.Name != ofType) {
				continue
			}
			text, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			texts = append(texts, text)
		}
		return true
	})
	return texts
}
