package activities

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func renderOne(l *liquid, escaping Escaping, source string, scope map[string]any) (string, error) {
	root, err := l.parse(source, true)
	if err != nil {
		return "", err
	}
	return l.render(root, escaping, scope)
}

func user() map[string]any {
	words := make([]any, 1000)
	for i := range words {
		words[i] = fmt.Sprintf("word %d", i)
	}
	return map[string]any{"user": map[string]any{"bio": strings.Repeat("a b ", 16<<10), "words": words, "name": "<Ada & 'Bob'>"}}
}

// manyWords makes a list of 16,000 words.
const manyWords = "{% assign words = user.words %}{% assign words = words | concat: words %}{% assign words = words | concat: words %}" +
	"{% assign words = words | concat: words %}{% assign words = words | concat: words %}"

func TestWhatATemplateCostsIsLimited(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, source, message string }{
		{"loops in loops", "{% for a in (1..1000) %}{% for b in (1..1000) %}{% for c in (1..1000) %}{% endfor %}{% endfor %}{% endfor %}", "does more than is allowed"},
		{"loops over long lists", "{% assign l = user.bio | split: 'b ' %}{% for a in l %}{% for b in l %}{% endfor %}{% endfor %}", "does more than is allowed"},
		{"tables in tables", "{% tablerow a in (1..1000) %}{% tablerow b in (1..1000) %}{% endtablerow %}{% endtablerow %}", "longer than 262144 bytes"},
		{"a text that doubles itself", "{% assign s = 'ab' %}" + strings.Repeat("{% assign s = s | append: s %}", 40), "the result is longer than 262144 bytes"},
		{"a text that doubles itself in captures", "{% assign s = 'ab' %}" + strings.Repeat("{% capture s %}{{ s }}{{ s }}{% endcapture %}", 40), "does more than is allowed"},
		{"a capture in loops", "{% capture s %}{% for a in (1..1000) %}{% for b in (1..1000) %}{{ user.bio }}{% endfor %}{% endfor %}{% endcapture %}", "does more than is allowed"},
		{"text in a capture in loops", "{% capture s %}{% for a in (1..1000) %}{% for b in (1..1000) %}" + strings.Repeat("x", 1000) + "{% endfor %}{% endfor %}{% endcapture %}", "does more than is allowed"},
		{"a text in place of every letter", "{{ user.bio | replace: '', user.bio | size }}", "does more than is allowed"},
		{"a text between all words", "{{ user.words | join: user.bio | size }}", "does more than is allowed"},
		{"a list that doubles itself", "{% assign l = user.words %}" + strings.Repeat("{% assign l = l | concat: l %}", 40), "the result is longer than 262144 bytes"},
		{"a wide date", "{{ '2027-01-04' | date: '%999999Y' }}", "does more than is allowed"},
		{"many long texts", strings.Repeat("{% assign x = user.bio | upcase %}", 1000), "does more than is allowed"},
		{"comparisons of long lists in loops", manyWords + "{% for a in (1..1000) %}{% for b in (1..20) %}{% if words contains 'zz' %}{% endif %}{% endfor %}{% endfor %}", "does more than is allowed"},
		{"cases of long lists in loops", manyWords + "{% assign more = words | concat: b %}{% for a in (1..1000) %}{% case words %}{% when more %}{% endcase %}{% endfor %}", "does more than is allowed"},
		{"a long text", strings.Repeat("{{ user.bio }}", 5), "longer than 262144 bytes"},
		{"escaping of a long text", strings.Repeat("{{ user.bio | replace: ' ', '<' }}", 3), "longer than 262144 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			_, err := renderOne(newLiquid(), HTML, tt.source, user())
			require.Less(t, time.Since(began), 30*time.Second) // with the race detector, on a busy machine
			require.ErrorContains(t, err, tt.message)
		})
	}
}

// A step has one text in a mail, and may have thousands in the body of a webhook.
func TestTheTextsOfAStepTogetherAreLimited(t *testing.T) {
	t.Parallel()
	many := func(text string, n int) map[string]any {
		return map[string]any{"body": slices.Repeat([]any{text}, n)}
	}
	all := &templates{newLiquid()}
	_, err := all.render(many("{{ user.bio }}", 17), nil, user())
	require.EqualError(t, err, "template of body: the texts of the step are longer than 1048576 bytes together")
	_, err = all.render(many("{% for a in (1..1000) %}{% for b in (1..100) %}{% endfor %}{% endfor %}", 2000), nil, user())
	require.EqualError(t, err, "template of body: the template does more than is allowed: it loops too often, or over texts that are too long")
	_, err = all.render(many("{{ user.bio }}", 16), nil, user())
	require.NoError(t, err)
	_, err = all.render(many("{{ user.name }}", 10_000), nil, user())
	require.NoError(t, err)
}

func TestMemoryOfATemplateIsLimited(t *testing.T) { //nolint:paralleltest // it measures
	l := newLiquid()
	scope := user()
	for _, source := range []string{
		"{% assign s = 'ab' %}" + strings.Repeat("{% assign s = s | append: s %}", 40),
		"{% capture s %}{% for a in (1..1000) %}{% for b in (1..1000) %}{{ user.bio }}{% endfor %}{% endfor %}{% endcapture %}",
		"{{ user.bio | replace: '', user.bio | size }}",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := renderOne(l, Plain, source, scope)
		require.Error(t, err)
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(200<<20), source[:30])
	}
}

func TestOrdinaryTemplatesAreWithinTheLimits(t *testing.T) {
	t.Parallel()
	table := "{% for w in user.words %}<tr><td>{{ forloop.index }}</td><td>{{ w | upcase | append: '!' }}</td></tr>\n{% endfor %}"
	got, err := renderOne(newLiquid(), HTML, strings.Repeat("<!-- a long mail -->", 400)+table, user())
	require.NoError(t, err)
	require.Contains(t, got, "<tr><td>1000</td><td>WORD 999!</td></tr>")

	got, err = renderOne(newLiquid(), Plain, "{% for a in (1..100) %}{% for b in (1..100) %}.{% endfor %}{% endfor %}", user())
	require.NoError(t, err)
	require.Equal(t, strings.Repeat(".", 10_000), got)

	got, err = renderOne(newLiquid(), Plain, "{{ user.bio }}", user())
	require.NoError(t, err)
	require.Len(t, got, 64<<10)
}

func TestFiltersDoWhatTheyDoWithoutAMeter(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"{{ 'a,b' | split: ',' | join }}":                                          "a b",
		"{{ 'a,b' | split: ',' | join: ', ' }}":                                    "a, b",
		"{{ 'aXbX' | replace: 'X', '--' }}":                                        "a--b--",
		"{{ 'ab' | replace: '', '.' }}":                                            ".a.b.",
		"{{ '2027-01-04' | date: '%d.%m.%y' }}":                                    "04.01.27",
		"{{ '2027-01-04' | date }}":                                                "Mon, Jan 04, 27",
		"{{ false | default: 'x' }} {{ false | default: 'x', allow_false: true }}": "x false",
		"{{ user.none | default: 'x' }}":                                           "x",
		"{{ 7 | divided_by: 2 }} {{ 7 | divided_by: 2.0 }} {{ 7 | modulo: 4 }}":    "3 3.5 3",
		"{{ 3.14159 | round: 2 }} {{ 3.7 | round }} {{ -3 | abs }}":                "3.14 4 3",
		"{{ 'Hello' | truncate: 4 }} {{ 'a b c' | truncatewords: 2, '!' }}":        "H... a b!",
		"{{ 'abc' | slice: 1, 2 }} {{ 'abc' | size }} {{ user.words | size }}":     "bc 3 1000",
		"{{ user.words | first }} {{ user.words | last }}":                         "word 0 word 999",
		"{{ 'b,a,b' | split: ',' | uniq | sort | reverse | join }}":                "b a",
		"{{ user.name | json }}":                                                   `"\u003cAda \u0026 'Bob'\u003e"`,
		"{{ 2 | pluralize: 'day', 'days' }}":                                       "days",
		"{{ (1..3) | join: '' }}{{ (1..3) | sum }}":                                "1236",
		"{{ 'a b&c' | url_encode }} {{ 'a%20b' | url_decode }}":                    "a+b%26c a b",
		"{% for i in (1..5) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}": "13",
		"{% for i in user.none %}x{% else %}nobody{% endfor %}":                                                                 "",
		"{% for i in (1..4) limit:2 offset:1 %}{{ i }}{{ forloop.last }}{% endfor %}":                                           "2false3true",
		"{% for i in (1..3) %}{% cycle 'a', 'b' %}{% endfor %}":                                                                 "aba",
		"{% tablerow i in (1..2) %}{{ i }}{% endtablerow %}":                                                                    `<tr class="row1"><td class="col1">1</td><td class="col2">2</td></tr>`,
		"{% capture x %}{{ user.name }}!{% endcapture %}{{ x | size }}":                                                         "14",
		"a {%- if true -%} b {%- endif -%} c":                                                                                   "abc",
	} {
		got, err := renderOne(newLiquid(), Plain, source, user())
		require.NoError(t, err, source)
		require.Equal(t, want, got, source)
	}
}

func TestEveryValueIsEscapedForItsPlace(t *testing.T) {
	t.Parallel()
	l := newLiquid()
	for escaping, want := range map[Escaping]string{
		Plain: "<b><Ada & 'Bob'></b>", HTML: "<b>&lt;Ada &amp; &#39;Bob&#39;&gt;</b>", SlackText: "<b>&lt;Ada &amp; 'Bob'&gt;</b>",
	} {
		got, err := renderOne(l, escaping, "<b>{{ user.name }}</b>", user())
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestParsedTemplatesAreKeptUpToALimit(t *testing.T) {
	t.Parallel()
	l := newLiquid()
	for i := range maxParsed + 10 {
		_, err := l.parse(fmt.Sprintf("{{ %d }}", i), true)
		require.NoError(t, err)
	}
	require.Len(t, l.parsed, 10)
	_, err := l.parse("{{ 'checked only' }}", false)
	require.NoError(t, err)
	require.Len(t, l.parsed, 10)
}

func TestTemplatesAreRenderedAtOnceByMany(t *testing.T) {
	t.Parallel()
	l := newLiquid()
	var group sync.WaitGroup
	failed := make(chan error, 64)
	for i := range cap(failed) {
		group.Go(func() {
			scope := map[string]any{"n": i}
			for range 20 {
				got, err := renderOne(l, Plain, "{% for i in (1..10) %}{{ n | plus: 0 }}{% endfor %}", scope)
				if want := strings.Repeat(strconv.Itoa(i), 10); err == nil && got != want {
					err = errors.New(got)
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	group.Wait()
	require.Empty(t, failed)
}
