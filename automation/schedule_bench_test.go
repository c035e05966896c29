package automation_test

import (
	"testing"
	"time"

	"rollcall/automation"
)

// BenchmarkNext finds the next firing of each form, at worst the next 29 February.
func BenchmarkNext(b *testing.B) {
	zone, err := time.LoadLocation("Europe/Warsaw")
	if err != nil {
		b.Fatal(err)
	}
	after := time.Date(2027, 1, 4, 9, 0, 0, 0, time.UTC)
	for _, bb := range []struct {
		name     string
		schedule automation.Schedule
	}{
		{"every day", automation.Schedule{Every: automation.EveryDay, At: "09:00"}},
		{"every week", automation.Schedule{Every: automation.EveryWeek, On: []automation.ScheduleDay{"monday", "thursday"}, At: "09:00"}},
		{"every month", automation.Schedule{Every: automation.EveryMonth, On: []automation.ScheduleDay{"31", "last", "last friday"}, At: "09:00"}},
		{"every year", automation.Schedule{Every: automation.EveryYear, On: []automation.ScheduleDay{"01-03"}, At: "09:00"}},
		{"every leap year", automation.Schedule{Every: automation.EveryYear, On: []automation.ScheduleDay{"02-29"}, At: "09:00", SkipMissing: true}},
		{"once", automation.Schedule{Once: "2087-07-04", At: "09:00"}},
		{"once, and it is over", automation.Schedule{Once: "2026-07-04", At: "09:00"}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bb.schedule.Next(after, zone)
			}
		})
	}
}

// BenchmarkIntervals looks through ten years of days.
func BenchmarkIntervals(b *testing.B) {
	zone, err := time.LoadLocation("Europe/Warsaw")
	if err != nil {
		b.Fatal(err)
	}
	s := automation.Schedule{Every: automation.EveryDay, At: "02:30"}
	b.ReportAllocs()
	for b.Loop() {
		s.Intervals(time.Date(2027, 1, 4, 9, 0, 0, 0, time.UTC), zone)
	}
}
