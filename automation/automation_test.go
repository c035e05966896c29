package automation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/filter"
	"rollcall/strictjson"
)

// catalog is an invented catalogue of two kinds: beep wants to know whom, log takes anything. Templates
// are good when their marks come in pairs.
func catalog() automation.Catalog {
	return automation.Catalog{Actions: []automation.ActionKind{
		{Kind: "beep", Title: "Beep", FirstTry: 2 * time.Second, Check: func(with map[string]any, _ automation.Properties) automation.Problems {
			var params struct {
				To    string `json:"to"`
				Times int    `json:"times"`
				Loud  bool   `json:"loud"`
				Tags  []any  `json:"tags"`
			}
			var problems automation.Problems
			strictjson.Decode(with, "", &params, &problems)
			if params.To == "" {
				problems.Add("/to", "required", "to is required")
			}
			return problems
		}},
		{Kind: "log", Title: "Log", Check: func(map[string]any, automation.Properties) automation.Problems { return nil }},
	}, CheckTemplate: func(source string, _ automation.Properties) automation.Problems {
		var problems automation.Problems
		if strings.Count(source, "{{") != strings.Count(source, "}}") {
			problems.Add("", "template-invalid", "the template has no end")
		}
		return problems
	}}
}

func properties() automation.Properties {
	return automation.Properties{
		"title":   {Name: "title", Type: filter.String},
		"team":    {Name: "team", Type: filter.Enum, Options: []string{"support", "sales"}},
		"hired":   {Name: "hired", Type: filter.Date},
		"seen_at": {Name: "seen_at", Type: filter.Datetime},
	}
}

// parse reads a document that has no problems.
func parse(t *testing.T, text string) *automation.Document {
	t.Helper()
	d, err := automation.ParseDocument([]byte(text))
	require.NoError(t, err)
	require.Empty(t, d.Validate(catalog(), properties()))
	return d
}
