package activities

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/connect"
)

// FuzzTemplate checks and renders any text for any value. One in which the check finds nothing wrong
// parses; what comes of it is in time, short, can be stored, is always the same, and escaped.
func FuzzTemplate(f *testing.F) {
	for _, source := range []string{
		"Hi {{ user.name }}", "{% for a in (1..99) %}{% for b in (1..9) %}{{ a }}{% endfor %}{% endfor %}", "{% assign s = user.name %}{% assign s = s | append: s %}{{ s | size }}",
		"{% capture s %}{{ user.name }}{{ user.name }}{% endcapture %}{{ s | upcase }}", "{{ user.bio | replace: '', user.bio | size }}", "{{ user.words | join: user.bio | size }}",
		"{{ '2027-01-04' | date: '%999999Y' }}", "{{ user.name | slice: 2, -5 }}", "{{ 1 | divided_by: 0 }}", "{{ 'a%00b%ffc' | url_decode }}", "{{ user.nmae }}", "{% if user.name %}", "{% endif %}",
		"{{ | }}", "Hi {{ user.name }", "{% include 'x' %}", "{% pay -1 %}", "{{ 99999999999999999999 }}", "{% for i in (1..10000000000) %}{% endfor %}", "{% for i in (1..user.n) %}{% endfor %}",
		`{{ "\"" | append: '"' }}{% for i in (1..3) %}"{% endfor %}`, "{% case 1 %}{% when (1..9) %}{% else %}{% endcase %}", "{% raw %}{{ x {% endraw %}", "{% comment %}{{ x | y }}{% endcomment %}",
		"{% tablerow i in user.words cols:2 %}{{ i }}{% endtablerow %}", "{%- unless user.id -%} {% cycle 'x', 'y' %} {%- endunless -%}", "{{ user.words | sort | reverse | uniq | first | json }}",
		"{{ user.name | escape | url_encode | strip_html | newline_to_br | truncate: 3 }}", "{{ now | date: '%Y' | plus: 1.5 | round: 2 }}", "{{ (1..3) | join: ', ' }}", "{{ user.name | safe }}",
		"{% for i in user.words limit:2 offset:1 reversed %}{% break %}{% else %}{% endfor %}", "{{ user[user.name] }}{{ user.words[0] }}{{ user.words.size }}", "{{ ' meter' }}{{ user[' meter'] }}",
	} {
		f.Add(source, "<Ada & 'Bob'>")
	}
	f.Add("{{ user.name | date: user.name }}", "%9999Y")
	f.Add("{{ user.name | split: '' | join: user.name }}", "{{ user.name }}")
	words := []any{"b", "a", 1.0, true, nil, []any{"c"}}
	properties := automation.Properties{"name": {}, "bio": {}, "words": {}, "n": {}}
	all := &templates{newLiquid()}
	f.Fuzz(func(t *testing.T, source, value string) {
		began := time.Now()
		var problems automation.Problems
		all.check(source, "/text", properties, &problems)
		for _, p := range problems {
			require.Equal(t, "/text", p.Pointer)
			require.Contains(t, []string{"template-invalid", "unknown-property", "unknown-variable"}, p.Code)
			require.NotEmpty(t, p.Message)
			require.Less(t, len(p.Message), 4000)
		}
		invalid := slices.ContainsFunc(problems, func(p automation.Problem) bool { return p.Code == "template-invalid" })
		now := time.Date(2027, 1, 4, 9, 0, 0, 0, time.UTC)
		for _, escaping := range []Escaping{Plain, HTML, SlackText} {
			var got [2]string
			var failed [2]error
			for i := range got {
				scope := map[string]any{"now": now, "user": map[string]any{"id": "u_1", "name": value, "bio": strings.Repeat("a b ", 1000), "words": words, "n": 3.0}}
				got[i], failed[i] = all.renderText(source, escaping, scope)
			}
			if failed[0] != nil {
				require.EqualError(t, failed[1], failed[0].Error())
				require.True(t, connect.IsPermanent(failed[0]))
				continue
			}
			require.False(t, invalid, "it is rendered as %q", got[0])
			if strings.Contains(source, "date") {
				continue // a date may be now
			}
			require.Equal(t, got[0], got[1])
			if !isTemplate(source) {
				require.Equal(t, source, got[0])
				continue
			}
			require.LessOrEqual(t, len(got[0]), 3*maxResult)
			require.True(t, utf8.ValidString(got[0]))
			require.NotContains(t, got[0], "\x00")
			if escaping != Plain && !strings.Contains(source, "<") && !strings.Contains(source, "tablerow") {
				require.NotContains(t, got[0], "<", "a value is markup")
			}
		}
		require.Less(t, time.Since(began), 20*time.Second)
	})
}

// town is a directory of a few users, one of whom is the manager of another.
type town map[string]automation.User

func (d town) UsersByID(_ context.Context, ids []string) (found []automation.User, _ error) {
	for _, id := range ids {
		if u, known := d[id]; known {
			found = append(found, u)
		}
	}
	return found, nil
}

func (d town) TeamMembers(_ context.Context, team string) (members []automation.User, _ error) {
	for _, id := range strings.Split(team, "+") {
		if u, known := d[id]; known {
			members = append(members, u)
		}
	}
	return members, nil
}

// FuzzRecipients reads any list of recipients. Each user is meant once, and what names no user is one text
// that names none when it is read alone, either.
func FuzzRecipients(f *testing.F) {
	for _, list := range []string{
		"", ",", " , ", "ada@example.com", "user:bob", "bob", "user:nobody", "nobody", "manager", "team:ada+bob", "team:ada", "team:", "team:nobody", "bob, bob;ada@example.com,#general",
		"user:", "user: bob", "team: bob", "MANAGER", "user:bob@example.com", "bob\nada", "a\x00b", "user:user:bob", "manager,team:bob+eve,eve",
	} {
		f.Add(list, "", "bob")
	}
	f.Add("manager", "", "")
	f.Add("manager", "", "manager")
	f.Fuzz(func(t *testing.T, first, second, manager string) {
		directory := town{"ada": {ID: "ada"}, "bob": {ID: "bob"}, "eve": {ID: "eve"}, "a b": {ID: "a b"}}
		ada := automation.User{ID: "ada", Properties: map[string]any{"manager": manager}}
		users, others, err := recipients(t.Context(), directory, []string{first, second}, &ada)
		if err != nil {
			require.True(t, connect.IsPermanent(err))
			require.Empty(t, users)
			require.Empty(t, others)
			return
		}
		seen := map[string]bool{}
		for _, u := range users {
			require.Contains(t, directory, u.ID)
			require.False(t, seen[u.ID], "%s is meant twice", u.ID)
			seen[u.ID] = true
		}
		for _, other := range others {
			require.NotEmpty(t, other)
			require.NotContains(t, other, ",")
			require.Equal(t, strings.TrimSpace(other), other)
			nobody, alone, err := recipients(t.Context(), directory, []string{other}, &ada)
			require.NoError(t, err)
			require.Empty(t, nobody)
			require.Equal(t, []string{other}, alone)
		}
		if len(users)+len(others) == 0 {
			require.Contains(t, first+second, "team:", "only a team may turn out to be nobody else")
		}
		joined, texts, err := recipients(t.Context(), directory, []string{first + "," + second}, &ada)
		require.NoError(t, err)
		require.Equal(t, users, joined)
		require.Equal(t, others, texts)
	})
}
