package automation_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/strictjson"
)

// judgedHours reads hours that stand at /hours of a document, and returns all that is wrong with their
// shape or, where that is right, with their meaning.
func judgedHours(t *testing.T, text string) (automation.Hours, strictjson.Problems) {
	t.Helper()
	v, err := strictjson.Parse([]byte(text))
	require.NoError(t, err)
	var h automation.Hours
	var problems strictjson.Problems
	if strictjson.Decode(v, "/hours", &h, &problems); len(problems) > 0 {
		return h, problems
	}
	h.Validate("/hours", &problems, nil)
	return h, problems
}

func hours(t *testing.T, text string) automation.Hours {
	t.Helper()
	h, problems := judgedHours(t, text)
	require.Empty(t, problems)
	return h
}

const (
	office = `{"windows": [{"days": ["monday", "tuesday", "wednesday", "thursday", "friday"], "from": "09:00", "to": "17:00"}]}`
	nights = `{"windows": [{"from": "00:00", "to": "06:00"}, {"from": "22:00", "to": "24:00"}]}`
)

func TestHoursAreWrittenAsTheyAreRead(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{}`,
		`{"windows":[{"days":["monday"],"from":"09:00","to":"17:00"},{"from":"20:00","to":"24:00"}]}`,
		`{"except":["2026-12-24","12-25","02-29"],"holidays":"PL"}`,
		`{"windows":[{"from":"09:00","to":"17:00"},{"from":"10:00","to":"18:00"}]}`,
	} {
		h := hours(t, text)
		written, err := json.Marshal(h)
		require.NoError(t, err)
		require.Equal(t, text, string(written))
	}
}

func TestHoursRefuse(t *testing.T) {
	t.Parallel()
	const (
		from    = "must be a time from 00:00 to 23:59 such as 09:00"
		to      = "must be a time from 00:01 to 24:00 such as 17:00"
		longer  = "a window ends after it begins; for hours over midnight write two windows, one to 24:00 and one from 00:00"
		dayOff  = `a day off is a date such as "2026-12-24", or "12-24" for every year`
		noHours = "the exceptions leave ten years without a day that is open"
	)
	p := func(pointer, code, message string) automation.Problem {
		return automation.Problem{Pointer: "/hours" + pointer, Code: code, Message: message}
	}
	for _, tt := range []struct {
		name, hours string
		want        []automation.Problem
	}{
		{"a window without times", `{"windows": [{}]}`, []automation.Problem{p("/windows/0/from", "invalid-time", from), p("/windows/0/to", "invalid-time", to)}},
		{"times that are none", `{"windows": [{"from": "24:00", "to": "24:01"}]}`, []automation.Problem{p("/windows/0/from", "invalid-time", from), p("/windows/0/to", "invalid-time", to)}},
		{"a window over midnight", `{"windows": [{"from": "22:00", "to": "06:00"}]}`, []automation.Problem{p("/windows/0/to", "window-invalid", longer)}},
		{"an empty window", `{"windows": [{"from": "09:00", "to": "09:00"}]}`, []automation.Problem{p("/windows/0/to", "window-invalid", longer)}},
		{"days that are none", `{"windows": [{"days": ["mon", "friday", "friday"], "from": "09:00", "to": "17:00"}]}`, []automation.Problem{
			p("/windows/0/days/0", "unknown-weekday", `there is no weekday "mon"; they are monday to sunday`),
			p("/windows/0/days/2", "duplicate-day", "friday is also that at /hours/windows/0/days/1"),
		}},
		{"a window on no days", `{"windows": [{"days": [], "from": "09:00", "to": "17:00"}]}`, []automation.Problem{
			p("/windows/0/days", "invalid-day", "a list of days names at least one, such as monday"),
		}},
		{"days off that are none", `{"except": ["2026-02-29", "02-30", "12-24", "24.12.", "2026-12-24", "", "2026", "1-2", "02-29"]}`, []automation.Problem{
			p("/except/0", "invalid-date", dayOff), p("/except/1", "invalid-date", dayOff), p("/except/3", "invalid-date", dayOff),
			p("/except/5", "invalid-date", dayOff), p("/except/6", "invalid-date", dayOff), p("/except/7", "invalid-date", dayOff),
		}},
		{"another member", `{"except": [], "closed": true}`, []automation.Problem{p("/closed", "unknown-field", `unknown field "closed"; known are except, holidays, windows`)}},
		{"every day closed", `{"except": ` + inJSON(daysBut("")) + `}`, []automation.Problem{p("", "hours-never-open", noHours)}},
		{"a leap day on one weekday left", `{"except": ` + inJSON(daysBut("02-29")) + `, "windows": [{"days": ["monday"], "from": "09:00", "to": "17:00"}]}`, []automation.Problem{p("", "hours-never-open", noHours)}},
		{"too many days off", `{"except": ` + inJSON(make([]string, 501)) + `}`, []automation.Problem{p("/except", "too-many-days", "a list of days off has at most 500 days")}},
		{"too many windows", `{"windows": ` + inJSON(make([]automation.Window, 101)) + `}`, []automation.Problem{p("/windows", "too-many-windows", "hours have at most 100 windows")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, problems := judgedHours(t, tt.hours)
			require.Equal(t, strictjson.Problems(tt.want), problems)
		})
	}
	hours(t, `{"except": `+inJSON(daysBut("07-15"))+`}`)
	hours(t, `{"except": `+inJSON(daysBut("02-29"))+`}`)
	_, problems := judgedHours(t, `{"except": `+inJSON(daysBut("07-15"))+`, "windows": [{"days": ["monday"], "from": "09:00", "to": "17:00"}]}`)
	require.Empty(t, problems, "there is a Monday among ten of them")
}

func TestTenYearsThatAreClosedByTheirDates(t *testing.T) {
	t.Parallel()
	// New Year's Day is left, but not that of 2027 and of the years after.
	except := daysBut("01-01")
	for year := 2027; year < 2036; year++ {
		except = append(except, fmt.Sprintf("%d-01-01", year))
	}
	hours(t, `{"except": `+inJSON(except)+`}`)
	_, problems := judgedHours(t, `{"except": `+inJSON(append(except, "2036-01-01"))+`}`)
	require.Len(t, problems, 1)
	require.Equal(t, "hours-never-open", problems[0].Code)
}

// daysBut lists the days of a leap year but one.
func daysBut(but string) []string {
	var days []string
	for day := time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() == 2028; day = day.AddDate(0, 0, 1) {
		if text := day.Format("01-02"); text != but {
			days = append(days, text)
		}
	}
	return days
}

func inJSON(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

func TestDaysOff(t *testing.T) {
	t.Parallel()
	l := automation.DaysOff{"2026-12-24", "12-25", "02-29"}
	for day, want := range map[string]bool{
		"2026-12-24": true, "2027-12-24": false, "2026-12-25": true, "2027-12-25": true, "2028-02-29": true, "2027-02-28": false, "2027-03-01": false,
	} {
		on, err := time.Parse(time.DateOnly, day)
		require.NoError(t, err)
		require.Equal(t, want, l.Has(on), day)
		require.False(t, automation.DaysOff(nil).Has(on))
	}
}

func TestNextOpen(t *testing.T) {
	t.Parallel()
	const warsaw, newYork, saoPaulo = "Europe/Warsaw", "America/New_York", "America/Sao_Paulo"
	for _, tt := range []struct{ name, hours, zone, at, open, closes string }{
		{"before it opens", office, warsaw, "2026-11-20T08:00:00+01:00", "2026-11-20T09:00:00+01:00", "2026-11-20T17:00:00+01:00"},
		{"while it is open", office, warsaw, "2026-11-20T12:34:56.7+01:00", "2026-11-20T12:34:56.7+01:00", "2026-11-20T17:00:00+01:00"},
		{"the moment it opens", office, warsaw, "2026-11-20T09:00:00+01:00", "2026-11-20T09:00:00+01:00", "2026-11-20T17:00:00+01:00"},
		{"the moment it closes", office, warsaw, "2026-11-20T17:00:00+01:00", "2026-11-23T09:00:00+01:00", "2026-11-23T17:00:00+01:00"},
		{"the local clock counts", office, newYork, "2026-11-20T12:00:00Z", "2026-11-20T09:00:00-05:00", "2026-11-20T17:00:00-05:00"},
		{"after an exception", `{"windows": [{"from": "09:00", "to": "17:00"}], "except": ["2026-11-21", "11-22"]}`, warsaw, "2026-11-20T18:00:00+01:00", "2026-11-23T09:00:00+01:00", "2026-11-23T17:00:00+01:00"},
		{"after a day off", office, warsaw, "2026-12-24T18:00:00+01:00", "2026-12-28T09:00:00+01:00", "2026-12-28T17:00:00+01:00"},
		{"all day without windows", `{"except": ["2026-11-20"]}`, warsaw, "2026-11-20T12:00:00+01:00", "2026-11-21T00:00:00+01:00", "2026-11-22T00:00:00+01:00"},
		{"until the end of the day", nights, warsaw, "2026-11-20T12:00:00+01:00", "2026-11-20T22:00:00+01:00", "2026-11-21T00:00:00+01:00"},
		{
			"windows that overlap or touch", `{"windows": [{"from": "12:00", "to": "14:00"}, {"from": "08:00", "to": "10:00"}, {"from": "09:00", "to": "11:00"}, {"from": "11:00", "to": "12:00"}]}`,
			warsaw, "2026-11-20T00:00:00+01:00", "2026-11-20T08:00:00+01:00", "2026-11-20T14:00:00+01:00",
		},
		{"a window inside another", `{"windows": [{"from": "08:00", "to": "18:00"}, {"from": "09:00", "to": "10:00"}]}`, warsaw, "2026-11-20T00:00:00+01:00", "2026-11-20T08:00:00+01:00", "2026-11-20T18:00:00+01:00"},
		{"a window in a gap is left out", `{"windows": [{"from": "02:00", "to": "03:00"}]}`, warsaw, "2026-03-28T12:00:00+01:00", "2026-03-30T02:00:00+02:00", "2026-03-30T03:00:00+02:00"},
		{"a window out of a gap begins after it", `{"windows": [{"from": "02:30", "to": "04:00"}]}`, warsaw, "2026-03-28T12:00:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"},
		{"a window into a gap ends with it", `{"windows": [{"from": "01:00", "to": "02:30"}]}`, warsaw, "2026-03-28T12:00:00+01:00", "2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"},
		{"a window over a fold is longer", `{"windows": [{"from": "01:00", "to": "04:00"}]}`, warsaw, "2026-10-24T12:00:00+02:00", "2026-10-25T01:00:00+02:00", "2026-10-25T04:00:00+01:00"},
		{"a window in a fold is open", `{"windows": [{"from": "02:15", "to": "02:45"}]}`, warsaw, "2026-10-25T02:00:00+02:00", "2026-10-25T02:15:00+02:00", "2026-10-25T02:45:00+02:00"},
		{"and open again", `{"windows": [{"from": "02:15", "to": "02:45"}]}`, warsaw, "2026-10-25T02:45:00+02:00", "2026-10-25T02:15:00+01:00", "2026-10-25T02:45:00+01:00"},
		{"a day that begins late", `{"except": ["2017-10-14"]}`, saoPaulo, "2017-10-14T12:00:00-03:00", "2017-10-15T01:00:00-02:00", "2017-10-16T00:00:00-02:00"},
		{"a day that has 25 hours", `{}`, saoPaulo, "2018-02-17T00:00:00-02:00", "2018-02-17T00:00:00-02:00", "2018-02-18T00:00:00-03:00"},
		{"a day that is left out", `{"windows": [{"days": ["friday"], "from": "09:00", "to": "17:00"}]}`, "Pacific/Apia", "2011-12-29T12:00:00-10:00", "2012-01-06T09:00:00+14:00", "2012-01-06T17:00:00+14:00"},
		{"a leap day far away", `{"windows": [{"from": "09:00", "to": "17:00"}], "except": ` + inJSON(daysBut("02-29")) + `}`, "UTC", "2026-11-20T12:00:00Z", "2028-02-29T09:00:00Z", "2028-02-29T17:00:00Z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := hours(t, tt.hours)
			open, closes, ok := h.NextOpen(instant(t, tt.at), automation.LocalCalendar{Zone: zone(t, tt.zone), DaysOff: automation.DaysOff{"2026-12-25"}.Has})
			require.True(t, ok)
			require.Equal(t, instant(t, tt.open).UTC(), open)
			require.Equal(t, instant(t, tt.closes).UTC(), closes)
		})
	}
}

func TestNothingOpensAnyMore(t *testing.T) {
	t.Parallel()
	h := hours(t, office)
	open, closes, ok := h.NextOpen(instant(t, "2026-11-20T12:00:00Z"), automation.LocalCalendar{Zone: zone(t, "Europe/Warsaw"), DaysOff: func(time.Time) bool { return true }})
	require.False(t, ok)
	require.Zero(t, open)
	require.Zero(t, closes)
}

func TestReleaseSpreads(t *testing.T) {
	t.Parallel()
	var h automation.Hours
	open := instant(t, "2026-11-20T09:00:00Z")
	for _, tt := range []struct {
		name          string
		open, longest time.Duration
	}{
		{"a long window over five minutes", 8 * time.Hour, 5 * time.Minute},
		{"a short window over a tenth of it", 10 * time.Minute, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var tenths [10]int
			for i := range 2000 {
				at := h.Release(open, open.Add(tt.open), fmt.Sprintf("welcome/u_%d/1", i))
				tenths[at.Sub(open)*10/tt.longest]++
			}
			for _, n := range tenths {
				require.InDelta(t, 200, n, 70)
			}
		})
	}
	require.Equal(t, open, h.Release(open, open, "u_42"))
	require.Equal(t, open, h.Release(open, open.Add(-time.Hour), "u_42"))
}
