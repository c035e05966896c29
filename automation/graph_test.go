package automation_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/internal/golden"
)

// TestGraphs draws the definitions in testdata/graphs. Below the line of a file stands the flowchart, or
// else the problems with which there is none.
func TestGraphs(t *testing.T) {
	t.Parallel()
	golden.Run(t, "testdata/graphs/*.txt", drawn)
}

func drawn(t *testing.T, definition string) string {
	t.Helper()
	converted, err := yaml.YAMLToJSON([]byte(definition))
	require.NoError(t, err)
	d, err := automation.ParseDocument(converted)
	require.NoError(t, err)
	chart, err := d.Mermaid()
	if invalid, ok := errors.AsType[*automation.InvalidError](err); ok {
		var list strings.Builder
		for _, p := range invalid.Problems {
			fmt.Fprintf(&list, "%s %s %s\n", p.Pointer, p.Code, p.Message)
		}
		return list.String()
	}
	require.NoError(t, err)
	return chart
}

// TestAnyTitleIsALabel has the texts that Mermaid 11 read otherwise when they were tried in it: as markup,
// lists, addresses, icons, formulas, directives or its own grammar.
func TestAnyTitleIsALabel(t *testing.T) {
	t.Parallel()
	for title, label := range map[string]string{
		`say "hi"`:                `say #34;hi#34;`,
		`<b>bold</b> & more`:      `#60;b#62;bold#60;/b#62; #38; more`,
		"1. First":                `1#46; First`,
		"12) twelve":              `12#41; twelve`,
		"in 2.5 days (or so).":    `in 2.5 days (or so).`,
		"- dash + plus":           `#45; dash + plus`,
		"=== heading":             `#61;== heading`,
		"`code` and *stars*":      `#96;code#96; and #42;stars#42;`,
		"snake_case _emphasis_":   `snake_case #95;emphasis#95;`,
		"%%{init: {}}%%":          `#37;#37;#123;init#58; #123;#125;#125;#37;#37;`,
		"style a:b#quot;":         `style a#58;b#35;quot#59;`,
		"https://example.com":     `https#58;//example.com`,
		"www.example.com":         `www#46;example.com`,
		"ada@example.com":         `ada#64;example.com`,
		"[a](b) | {c}":            `#91;a#93;(b) #124; #123;c#125;`,
		"fa:fa-car":               `fa#58;#8203;fa-car`,
		"$$x$$":                   `#36;#8203;#36;#8203;x#36;#8203;#36;#8203;`,
		`C:\new`:                  `C#58;#92;#8203;new`,
		"two\nlines\tand\x00nul":  `two lines and nul`,
		"Größe, 時間 und 😀 – ok…":   `Größe, 時間 und 😀 – ok…`,
		"ﬂ":                       `fl`,
		"a\u202eb":                `a#8238;b`,
		"end":                     `end`,
		"09:00 --> 10:00; done":   `09#58;00 --#62; 10#58;00#59; done`,
		"it's 50% off? yes/no, =": `it's 50#37; off? yes/no, =`,
	} {
		d := automation.Document{Name: "w", Steps: []automation.Step{{ID: "a", Title: title, Delay: &automation.Delay{}}}}
		chart, err := d.Mermaid()
		require.NoError(t, err)
		require.Contains(t, chart, "  n1([\""+label+"<br/>wait 0\"])\n", title)
	}
}
