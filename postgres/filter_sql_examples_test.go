package postgres_test

import (
	"slices"
	"testing"
	"time"

	"rollcall/filter"
)

func TestSQLComparesTextsLetterByLetter(t *testing.T) {
	t.Parallel()
	var group []person
	for _, title := range []string{
		"100%", "100x", "100", "a_b", "axb", `a\b`, "ab", "k", "K", "\u212a", "i", "I", "İ", "ı", "s", "S", "ſ", "ss", "ß", "ẞ",
		"σ", "ς", "Σ", "ω", "Ω", "\u2126", "å", "\u212b", "a\u030a", "ǆ", "ǅ", "Ǆ", "żółw", "ŻÓŁW", "😀", "x😀y", "a\nb", "Head of Support",
	} {
		group = append(group, person{properties: map[string]any{"title": title}})
	}
	var trees []filter.Tree
	for _, op := range []filter.Op{filter.Equals, filter.NotEquals, filter.Contains, filter.NotContains, filter.StartsWith, filter.EndsWith} {
		for _, p := range group {
			trees = append(trees, filter.Tree{Condition: &filter.Condition{Property: "title", Op: op, Value: p.properties["title"]}})
		}
		for _, v := range []any{"%", "_", `\`, "a_", "%%", "0%", "***", []any{"%", "K", "ñ"}, []any{"Σ", "ẞ", "x"}} {
			trees = append(trees, filter.Tree{Condition: &filter.Condition{Property: "title", Op: op, Value: v}})
		}
	}
	agreeOn(t, connect(t), group, time.Now(), trees)
}

func TestSQLComparesWhatEventsCarry(t *testing.T) {
	t.Parallel()
	values := []any{
		"home", "HOME", "true", "TRUE", "10", "1e21", "0.1", "1000000000000000000000", true, false, 0.0, 7.0, 10.0, 0.1, 1e21, 1e-7, 123456789.0, -1.5,
		[]any{true, 7.0},
		[]any{1e21},
		[]any{"Home", nil, map[string]any{"a": "home"}},
		[]any{[]any{"home"}},
		[]any{0.0000001, false},
		[]any{nil},
		"",
		[]any{},
		nil,
		map[string]any{"a": "home"},
	}
	var group []person
	now := day(2027, 1, 4)
	for _, v := range values {
		group = append(group, person{properties: map[string]any{}, events: []event{{"login", now, map[string]any{"page": v}}}})
	}
	operands := []any{"home", "o", "true", "tr", true, "10", 10.0, 7.0, 0.1, "0.1", "0.0000001", 1e-7, 1e21, "1000000000000000000000", "000", "1e", []any{7.0, 10.0}, []any{"7", false}}
	var trees []filter.Tree
	for _, op := range []filter.Op{
		filter.Known, filter.Unknown, filter.Equals, filter.NotEquals, filter.Contains, filter.NotContains, filter.StartsWith, filter.EndsWith,
		filter.GreaterThan, filter.AtMost, filter.AnyOf, filter.NoneOf,
	} {
		for _, v := range operands {
			if op == filter.Known || op == filter.Unknown {
				v = nil
			}
			once := 1
			where := &filter.Tree{Condition: &filter.Condition{EventProperty: "page", Op: op, Value: v}}
			trees = append(trees, filter.Tree{Condition: &filter.Condition{Event: "login", Op: filter.AtLeast, Count: &once, Where: where}})
		}
	}
	agreeOn(t, connect(t), group, now, trees)
}

func TestSQLAsksAboutTheLastChange(t *testing.T) {
	t.Parallel()
	now := day(2027, 1, 4)
	group := []person{
		{properties: map[string]any{"title": "x"}},
		{properties: map[string]any{}, changes: []change{{"title", nil, now}}},
		{properties: map[string]any{}, changes: []change{{"title", "x", now}, {"title", nil, now.AddDate(0, 0, -9)}}}, // recorded in this order
		{properties: map[string]any{}, changes: []change{{"title", "y", now.AddDate(0, 0, -9)}, {"email", "x", now}}},
		{properties: map[string]any{"seen_at": "2026-12-31T00:00:00Z"}, changes: []change{{"title", "", day(2026, 12, 31)}}},
	}
	var trees []filter.Tree
	for _, ifEmpty := range []bool{true, false} {
		for _, c := range []filter.Condition{
			{Of: filter.ChangedAt, Op: filter.Known},
			{Of: filter.ChangedAt, Op: filter.Unknown},
			{Of: filter.ChangedAt, Op: filter.Before, Value: "now-7d"},
			{Of: filter.ChangedAt, Op: filter.After, Value: "2027-01-03"},
			{Of: filter.ChangedAt, Op: filter.On, Value: map[string]any{"property": "seen_at"}},
			{Ever: true, Op: filter.Known},
			{Ever: true, Op: filter.Equals, Value: "X"},
		} {
			c.Property = "title"
			c.IfEmpty = ifEmpty && c.Op != filter.Known && c.Op != filter.Unknown
			trees = append(trees, filter.Tree{Condition: &c})
		}
	}
	agreeOn(t, connect(t), group, now, trees)
}

func TestSQLCountsEventsToTheMicrosecond(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 1, 4, 9, 0, 0, 123_456_000, time.UTC)
	var group []person
	var list []event
	for _, after := range []time.Duration{0, -time.Microsecond, time.Microsecond, time.Hour} {
		one := event{"login", now.AddDate(0, 0, -7).Add(after), map[string]any{}}
		list = append(list, one)
		group = append(group, person{properties: map[string]any{}, events: []event{one}}, person{properties: map[string]any{}, events: slices.Clone(list)})
	}
	var trees []filter.Tree
	for count := range 4 {
		for _, op := range []filter.Op{filter.AtLeast, filter.AtMost} {
			trees = append(trees, filter.Tree{Condition: &filter.Condition{Event: "login", Op: op, Count: &count, Within: "7d"}})
		}
	}
	agreeOn(t, connect(t), group, now, trees)
}
