package filter_test

import (
	"strconv"
	"testing"
	"time"

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

// moving5 is a filter of five conditions that move with time, and a user whom it asks about.
func moving5() (*filter.Tree, filter.Subject) {
	now := time.Date(2027, time.January, 4, 12, 30, 0, 0, time.UTC)
	tree := &filter.Tree{All: []filter.Tree{
		{Condition: &filter.Condition{Property: "seen_at", Op: filter.Before, Value: "now-7d"}},
		{Condition: &filter.Condition{Property: "hired", Op: filter.Between, Value: []any{"now-1y/y", "now/M+1d"}}},
		{Condition: &filter.Condition{Property: "hired", Of: filter.Anniversary, Op: filter.NotBetween, Value: []any{"now/d", "now/w+1w"}}},
		{Condition: &filter.Condition{Property: "title", Of: filter.ChangedAt, Op: filter.After, Value: "now-7d/d"}},
		{Condition: &filter.Condition{Event: "login", Op: filter.AtLeast, Count: new(2), Within: "7d"}},
	}}
	return tree, filter.Subject{
		User: map[string]any{"seen_at": "2026-12-20T09:00:00Z", "hired": "2026-03-01"}, Now: now,
		Past: &filter.Past{
			Changes: map[string][]filter.Change{"title": {{At: now.AddDate(0, 0, -2), New: "Head"}}},
			Events:  map[string][]filter.Event{"login": {{At: now.AddDate(0, 0, -1)}, {At: now.AddDate(0, 0, -2)}, {At: now.AddDate(0, 0, -3)}}},
		},
	}
}

func compiledIn(b *testing.B, tree *filter.Tree, zone string) *filter.Filter {
	b.Helper()
	f, problems := filter.Compile(tree, filter.Scope{Types: types(), Zone: zone})
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	return f
}

// BenchmarkMatchDateMath asks one condition whose operand moves with time.
func BenchmarkMatchDateMath(b *testing.B) {
	_, user := moving5()
	for _, math := range []string{"now-30d", "now/d", "now-1M/M+1d"} {
		for _, zone := range []string{"UTC", "Europe/Warsaw"} {
			f := compiledIn(b, &filter.Tree{Condition: &filter.Condition{Property: "hired", Op: filter.Before, Value: math}}, zone)
			b.Run(math+" in "+zone, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					f.Match(user)
				}
			})
		}
	}
}

// BenchmarkNextFlip looks for the next flip of five conditions all of which move with time.
func BenchmarkNextFlip(b *testing.B) {
	tree, user := moving5()
	f := compiledIn(b, tree, "Europe/Warsaw")
	if _, ok := f.NextFlip(user); !ok || !f.Match(user) {
		b.Fatal("the filter does not hold, or never flips")
	}
	b.ReportAllocs()
	for b.Loop() {
		f.NextFlip(user)
	}
}

// BenchmarkCompile makes a filter of five conditions ready.
func BenchmarkCompile(b *testing.B) {
	tree, _ := moving5()
	b.ReportAllocs()
	for b.Loop() {
		compiledIn(b, tree, "Europe/Warsaw")
	}
}
