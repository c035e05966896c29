package filter_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMatchDates(t *testing.T) {
	t.Parallel()
	ask(t, in(t, "Europe/Warsaw"), []question{
		{"on the day", `"property": "hired", "op": "on", "value": "2027-01-04"`, `"hired": "2027-01-04"`, true},
		{"on another day", `"property": "hired", "op": "on", "value": "2027-01-04"`, `"hired": "2027-01-05"`, false},
		{"before the day", `"property": "hired", "op": "before", "value": "2027-01-04"`, `"hired": "2027-01-03"`, true},
		{"before is not on", `"property": "hired", "op": "before", "value": "2027-01-04"`, `"hired": "2027-01-04"`, false},
		{"after the day", `"property": "hired", "op": "after", "value": "2027-01-04"`, `"hired": "2027-01-05"`, true},
		{"after is not on", `"property": "hired", "op": "after", "value": "2027-01-04"`, `"hired": "2027-01-04"`, false},
		{"between has its first day", `"property": "hired", "op": "between", "value": ["2027-01-04", "2027-01-06"]`, `"hired": "2027-01-04"`, true},
		{"between has its last day", `"property": "hired", "op": "between", "value": ["2027-01-04", "2027-01-06"]`, `"hired": "2027-01-06"`, true},
		{"between ends", `"property": "hired", "op": "between", "value": ["2027-01-04", "2027-01-06"]`, `"hired": "2027-01-07"`, false},
		{"not_between has not its last day", `"property": "hired", "op": "not_between", "value": ["2027-01-04", "2027-01-06"]`, `"hired": "2027-01-06"`, false},
		{"not_between after", `"property": "hired", "op": "not_between", "value": ["2027-01-04", "2027-01-06"]`, `"hired": "2027-01-07"`, true},
		{"a leap day is a day", `"property": "hired", "op": "on", "value": "2028-02-29"`, `"hired": "2028-02-29"`, true},
		{"the first of March comes after a leap day", `"property": "hired", "op": "after", "value": "2028-02-29"`, `"hired": "2028-03-01"`, true},
		{"a year ends", `"property": "hired", "op": "after", "value": "2026-12-31"`, `"hired": "2027-01-01"`, true},
	})
}

func TestMatchInstants(t *testing.T) {
	t.Parallel()
	ask(t, in(t, "Europe/Warsaw"), []question{
		{"on the day in the zone", `"property": "seen_at", "op": "on", "value": "2027-01-04"`, `"seen_at": "2027-01-03T23:00:00Z"`, true},
		{"on the day before in the zone", `"property": "seen_at", "op": "on", "value": "2027-01-04"`, `"seen_at": "2027-01-03T22:59:59Z"`, false},
		{"on the last moment of the day", `"property": "seen_at", "op": "on", "value": "2027-01-04"`, `"seen_at": "2027-01-04T22:59:59.999999999Z"`, true},
		{"on the first moment after the day", `"property": "seen_at", "op": "on", "value": "2027-01-04"`, `"seen_at": "2027-01-04T23:00:00Z"`, false},
		{"after the day at its end", `"property": "seen_at", "op": "after", "value": "2027-01-04"`, `"seen_at": "2027-01-04T23:00:00Z"`, true},
		{"after the day not within it", `"property": "seen_at", "op": "after", "value": "2027-01-04"`, `"seen_at": "2027-01-04T12:00:00Z"`, false},
		{"before the day not within it", `"property": "seen_at", "op": "before", "value": "2027-01-04"`, `"seen_at": "2027-01-04T12:00:00Z"`, false},
		{"between has its last day whole", `"property": "seen_at", "op": "between", "value": ["2027-01-03", "2027-01-04"]`, `"seen_at": "2027-01-04T22:00:00Z"`, true},
		{"instants in other offsets are the same", `"property": "seen_at", "op": "on", "value": "2027-01-04T09:00:00+01:00"`, `"seen_at": "2027-01-04T08:00:00Z"`, true},
		{"on an instant that is another", `"property": "seen_at", "op": "on", "value": "2027-01-04T08:00:00Z"`, `"seen_at": "2027-01-04T08:00:00.000001Z"`, false},
		{"before an instant is not at it", `"property": "seen_at", "op": "before", "value": "2027-01-04T08:00:00Z"`, `"seen_at": "2027-01-04T08:00:00Z"`, false},
		{"after an instant is not at it", `"property": "seen_at", "op": "after", "value": "2027-01-04T08:00:00Z"`, `"seen_at": "2027-01-04T08:00:00Z"`, false},
		{"after an instant by a microsecond", `"property": "seen_at", "op": "after", "value": "2027-01-04T08:00:00Z"`, `"seen_at": "2027-01-04T08:00:00.000001Z"`, true},
		{"before an instant by less than a microsecond is at it", `"property": "seen_at", "op": "before", "value": "2027-01-04T08:00:00.000000999Z"`, `"seen_at": "2027-01-04T08:00:00Z"`, false},
		{"a nanosecond makes no other instant", `"property": "seen_at", "op": "on", "value": "2027-01-04T08:00:00Z"`, `"seen_at": "2027-01-04T08:00:00.000000999Z"`, true},
		{"between has the instant at its end", `"property": "seen_at", "op": "between", "value": ["2027-01-04", "2027-01-05T09:00:00Z"]`, `"seen_at": "2027-01-05T09:00:00Z"`, true},
		{"not_between has not the instant at its end", `"property": "seen_at", "op": "not_between", "value": ["2027-01-04", "2027-01-05T09:00:00Z"]`, `"seen_at": "2027-01-05T09:00:00Z"`, false},
		{"a date begins at its midnight in the zone", `"property": "hired", "op": "before", "value": "2027-01-04T00:30:00+01:00"`, `"hired": "2027-01-04"`, true},
		{"a date is not before its midnight", `"property": "hired", "op": "before", "value": "2027-01-04T00:00:00+01:00"`, `"hired": "2027-01-04"`, false},
	})
}

func TestMatchReadsDatesInUTCWhereThereIsNoZone(t *testing.T) {
	t.Parallel()
	ask(t, scope(), []question{
		{"the day begins at midnight", `"property": "seen_at", "op": "on", "value": "2027-01-04"`, `"seen_at": "2027-01-04T00:00:00Z"`, true},
		{"the evening before is another day", `"property": "seen_at", "op": "on", "value": "2027-01-04"`, `"seen_at": "2027-01-03T23:30:00Z"`, false},
	})
}

func TestMatchOnDaysThatTheClocksChange(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, zone, day, first, last string }{
		{"a day of 23 hours", "Europe/Warsaw", "2027-03-28", "2027-03-27T23:00:00Z", "2027-03-28T21:59:59Z"},
		{"a day of 25 hours", "Europe/Warsaw", "2027-10-31", "2027-10-30T22:00:00Z", "2027-10-31T22:59:59Z"},
		{"a day without midnight, west", "America/Asuncion", "2023-10-01", "2023-10-01T04:00:00Z", "2023-10-02T02:59:59Z"},
		{"the day before it", "America/Asuncion", "2023-09-30", "2023-09-30T04:00:00Z", "2023-10-01T03:59:59Z"},
		{"a day without midnight, east", "Africa/Cairo", "2023-04-28", "2023-04-27T22:00:00Z", "2023-04-28T20:59:59Z"},
		{"a day without midnight, long ago", "America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z", "2018-11-05T01:59:59Z"},
		{"a day whose last hour comes twice", "America/Sao_Paulo", "2018-02-17", "2018-02-17T02:00:00Z", "2018-02-18T02:59:59Z"},
		{"a day whose midnight comes twice", "America/Havana", "2023-11-05", "2023-11-05T04:00:00Z", "2023-11-06T04:59:59Z"},
		{"the day before a day that was skipped", "Pacific/Apia", "2011-12-29", "2011-12-29T10:00:00Z", "2011-12-30T09:59:59Z"},
		{"the day after a day that was skipped", "Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z", "2011-12-31T09:59:59Z"},
		{"a leap day", "Asia/Kathmandu", "2028-02-29", "2028-02-28T18:15:00Z", "2028-02-29T18:14:59Z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := in(t, tt.zone)
			on := compile(t, `{"property": "seen_at", "op": "on", "value": "`+tt.day+`"}`, s)
			before := compile(t, `{"property": "seen_at", "op": "before", "value": "`+tt.day+`"}`, s)
			after := compile(t, `{"property": "seen_at", "op": "after", "value": "`+tt.day+`"}`, s)
			at := func(text string) [3]bool {
				u := subject(t, `{"seen_at": "`+text+`"}`)
				return [3]bool{before.Match(u), on.Match(u), after.Match(u)}
			}
			require.Equal(t, [3]bool{false, true, false}, at(tt.first), "at the first second")
			require.Equal(t, [3]bool{false, true, false}, at(tt.last), "in the last second")
			require.Equal(t, [3]bool{true, false, false}, at(shift(t, tt.first, -time.Second)), "a second before")
			require.Equal(t, [3]bool{false, false, true}, at(shift(t, tt.last, time.Second)), "a second after")
		})
	}
}

func shift(t *testing.T, text string, by time.Duration) string {
	t.Helper()
	return instant(t, text).Add(by).Format(time.RFC3339)
}

func TestADayThatAZoneSkippedHasNoInstants(t *testing.T) {
	t.Parallel()
	on := compile(t, `{"property": "seen_at", "op": "on", "value": "2011-12-30"}`, in(t, "Pacific/Apia"))
	require.False(t, on.Match(subject(t, `{"seen_at": "2011-12-30T09:59:59Z"}`)))
	require.False(t, on.Match(subject(t, `{"seen_at": "2011-12-30T10:00:00Z"}`)))
}
