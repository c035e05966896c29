package automation_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/internal/golden"
	"rollcall/strictjson"
)

// TestGolden reads the definitions in testdata. Below the line of a file stand the problems of
// its definition, as pointer, code and message, or else the definition's normal form.
func TestGolden(t *testing.T) {
	t.Parallel()
	golden.Run(t, "testdata/*.txt", outcome)
}

func outcome(t *testing.T, definition string) string {
	t.Helper()
	d, problems := judge(t, definition)
	if len(problems) > 0 {
		var b strings.Builder
		for _, p := range problems {
			if p.Pointer == "" {
				p.Pointer = "(document)"
			}
			fmt.Fprintf(&b, "%s %s %s\n", p.Pointer, p.Code, p.Message)
		}
		return b.String()
	}
	var b bytes.Buffer
	require.NoError(t, json.Indent(&b, normal(t, d), "", "  "))
	return b.String() + "\n"
}

// judge reads and validates a definition as saving it does.
func judge(t *testing.T, definition string) (*automation.Document, automation.Problems) {
	t.Helper()
	d, err := automation.ParseDocument([]byte(definition))
	if syntax, ok := errors.AsType[*strictjson.SyntaxError](err); ok {
		return nil, automation.Problems{{Code: syntax.Code, Message: syntax.Message}}
	}
	if invalid, ok := errors.AsType[*automation.InvalidError](err); ok {
		return nil, invalid.Problems
	}
	require.NoError(t, err)
	return d, d.Validate(catalog(), properties())
}

// normal returns the normal form of a document, which must be that of itself.
func normal(t *testing.T, d *automation.Document) []byte {
	t.Helper()
	text, hash, err := d.Normal()
	require.NoError(t, err)
	again, problems := judge(t, string(text))
	require.Empty(t, problems)
	textAgain, hashAgain, err := again.Normal()
	require.NoError(t, err)
	require.Equal(t, string(text), string(textAgain))
	require.Equal(t, hash, hashAgain)
	return text
}

var problemLine = regexp.MustCompile(`(?m)^(?:/\S*|\(document\)) ([a-z0-9-]+) `)

func TestGoldenFilesHaveEveryProblem(t *testing.T) {
	t.Parallel()
	if golden.Updating() {
		t.Skip("the files are being written")
	}
	var codes []string
	for _, file := range golden.Files(t, "testdata/*.txt") {
		_, below := golden.Read(t, file)
		for _, m := range problemLine.FindAllStringSubmatch(below, -1) {
			codes = append(codes, m[1])
		}
	}
	slices.Sort(codes)
	// The limits on how many there are have tests of their own.
	require.Equal(t, []string{
		"again-invalid", "arm-invalid", "branch-on-invalid", "case-repeated", "condition-invalid", "day-out-of-range",
		"delay-invalid", "delay-out-of-range", "due-within-invalid", "duplicate-day", "duplicate-member",
		"duplicate-step-id", "else-missing", "else-not-last", "empty-graph", "empty-group", "endless-loop",
		"guard-invalid", "hours-never-open", "invalid-date", "invalid-day", "invalid-name", "invalid-time", "invalid-utf8",
		"json-too-deep", "malformed-json", "mixed-group", "no-event", "no-trigger", "nul-character", "offset-out-of-range",
		"on-error-invalid", "operand-invalid", "operator-type-mismatch", "out-of-range", "required", "schedule-invalid",
		"share-invalid", "split-invalid", "template-invalid", "too-long", "trigger-missing", "unknown-action",
		"unknown-country", "unknown-event", "unknown-field", "unknown-hook", "unknown-property", "unknown-step", "unknown-step-type",
		"unknown-time-zone", "unknown-trigger-kind", "unknown-weekday", "unreachable-step", "wait-invalid",
		"where-not-taken", "window-invalid", "wrong-type",
	}, slices.Compact(codes))
}
