package filter_test

import (
	"strconv"
	"testing"

	"rollcall/filter"
)

// BenchmarkMatch asks filters all of whose conditions hold, so that none is passed over.
func BenchmarkMatch(b *testing.B) {
	conditions := []filter.Condition{
		{Property: "title", Op: filter.Contains, Value: "support"},
		{Property: "team", Op: filter.AnyOf, Value: []any{"sales", "support"}},
		{Property: "skills", Op: filter.AllOf, Value: []any{"go", "sql"}},
		{Property: "desks", Op: filter.Between, Value: []any{1.0, 5.0}},
		{Property: "seen_at", Op: filter.After, Value: "2027-01-04"},
	}
	user := filter.Subject{User: map[string]any{
		"title": "Head of Support", "team": "support", "skills": []any{"go", "sql"}, "desks": 2.0, "seen_at": "2027-02-01T09:00:00Z",
	}}
	for _, n := range []int{1, 5, 50} {
		tree := &filter.Tree{}
		for i := range n {
			tree.All = append(tree.All, filter.Tree{Condition: &conditions[i%len(conditions)]})
		}
		f, problems := filter.Compile(tree, filter.Scope{Types: types()})
		if len(problems) > 0 || !f.Match(user) {
			b.Fatal("the filter does not hold", problems)
		}
		b.Run(strconv.Itoa(n)+" conditions", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.Match(user)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/condition")
		})
	}
}

// BenchmarkTrace asks the same with the reasons.
func BenchmarkTrace(b *testing.B) {
	tree := &filter.Tree{}
	for range 5 {
		tree.All = append(tree.All, filter.Tree{Condition: &filter.Condition{Property: "title", Op: filter.Contains, Value: "support"}})
	}
	f, _ := filter.Compile(tree, filter.Scope{Types: types()})
	user := filter.Subject{User: map[string]any{"title": "Head of Support"}}
	b.ReportAllocs()
	for b.Loop() {
		f.Trace(user)
	}
}
