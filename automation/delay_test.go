package automation_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/filter"
	"rollcall/strictjson"
)

// judgedDelay reads a delay that stands at /delay of a document, and returns all that is wrong with its
// shape or, where that is right, with its meaning.
func judgedDelay(t *testing.T, text string) (automation.Delay, strictjson.Problems) {
	t.Helper()
	v, err := strictjson.Parse([]byte(text))
	require.NoError(t, err)
	var d automation.Delay
	var problems strictjson.Problems
	if strictjson.Decode(v, "/delay", &d, &problems); len(problems) > 0 {
		return d, problems
	}
	d.Validate("/delay", &problems, automation.Properties{
		"start_date": {Name: "start_date", Type: filter.Date},
		"created_at": {Name: "created_at", Type: filter.Datetime},
		"job_title":  {Name: "job_title", Type: filter.String},
	})
	return d, problems
}

func delay(t *testing.T, text string) automation.Delay {
	t.Helper()
	d, problems := judgedDelay(t, text)
	require.Empty(t, problems)
	return d
}

// delays are one of each form, with its normal form where that is another, and its words.
var delays = []struct{ delay, normal, words string }{
	{`"3d"`, `"3d"`, "3d"},
	{`"36h"`, `"1d12h"`, "1d12h"},
	{`"0"`, `"0"`, "0"},
	{`0`, `"0"`, "0"},
	{`{"for": "2d"}`, `"2d"`, "2d"},
	{`{"for": "0"}`, `"0"`, "0"},
	{`{"for": "2d", "business_days": false}`, `"2d"`, "2d"},
	{`{"for": "2d", "business_days": true}`, `{"for":"2d","business_days":true}`, "2 business days"},
	{`{"for": "1d", "business_days": true}`, `{"for":"1d","business_days":true}`, "1 business day"},
	{`{"for": "7d", "business_days": true}`, `{"for":"7d","business_days":true}`, "7 business days"},
	{`{"for": "1000d", "business_days": true}`, `{"for":"1000d","business_days":true}`, "1000 business days"},
	{`{"until": {"at": "09:00"}}`, `{"until":{"at":"09:00"}}`, "until 09:00"},
	{`{"until": {"on": ["monday"]}}`, `{"until":{"on":["monday"]}}`, "until Monday"},
	{`{"until": {"on": ["monday", "friday"], "at": "09:00"}}`, `{"until":{"at":"09:00","on":["monday","friday"]}}`, "until 09:00 on Monday or Friday"},
	{`{"until": {"on": ["monday", "friday", "sunday"]}}`, `{"until":{"on":["monday","friday","sunday"]}}`, "until Monday, Friday or Sunday"},
	{`{"until": {"date": "2027-01-04"}}`, `{"until":{"date":"2027-01-04"}}`, "until 4 January 2027"},
	{`{"until": {"date": "2027-01-04", "at": "09:00", "if_past": "fail"}}`, `{"until":{"at":"09:00","date":"2027-01-04","if_past":"fail"}}`, "until 4 January 2027 at 09:00"},
	{`{"until": {"property": "start_date"}}`, `{"until":{"property":"start_date"}}`, "until start_date"},
	{`{"until": {"property": "created_at", "offset": 0}}`, `{"until":{"property":"created_at"}}`, "until created_at"},
	{`{"until": {"property": "start_date", "offset": "-2d", "at": "09:00"}}`, `{"until":{"at":"09:00","property":"start_date","offset":"-2d"}}`, "until 2d before start_date at 09:00"},
	{`{"until": {"property": "created_at", "offset": "+1d12h"}}`, `{"until":{"property":"created_at","offset":"1d12h"}}`, "until 1d12h after created_at"},
	{`{"until": {"property": "created_at", "offset": "12h", "at": "09:00"}}`, `{"until":{"at":"09:00","property":"created_at","offset":"12h"}}`, "until 12h after created_at at 09:00"},
	{
		`{"until": {"property": "start_date", "if_missing": "wait", "if_past": "exit"}}`,
		`{"until":{"property":"start_date","if_missing":"wait","if_past":"exit"}}`, "until start_date",
	},
}

func TestDelayNormalFormAndWords(t *testing.T) {
	t.Parallel()
	for _, tt := range delays {
		t.Run(tt.delay, func(t *testing.T) {
			t.Parallel()
			d := delay(t, tt.delay)
			text, err := json.Marshal(d)
			require.NoError(t, err)
			require.JSONEq(t, tt.normal, string(text))
			require.Equal(t, tt.normal, string(text))
			require.Equal(t, tt.words, d.String())

			require.Equal(t, d, delay(t, string(text)))
			stored := automation.Delay{For: 1, BusinessDays: true}
			require.NoError(t, json.Unmarshal(text, &stored))
			require.Equal(t, d, stored)
		})
	}
}

func TestAStoredDelayInsideAnother(t *testing.T) {
	t.Parallel()
	var node struct {
		Delay automation.Delay `json:"delay,omitzero"`
	}
	require.NoError(t, json.Unmarshal([]byte(`{"delay":"3d"}`), &node))
	require.Equal(t, automation.Delay{For: automation.Duration(72 * time.Hour)}, node.Delay)
	text, err := json.Marshal(node)
	require.NoError(t, err)
	require.JSONEq(t, `{"delay":"3d"}`, string(text))
	require.Error(t, json.Unmarshal([]byte(`{"delay":"soon"}`), &node))
	require.Error(t, json.Unmarshal([]byte(`{"delay":{"until":{"property":"start_date","offset":"soon"}}}`), &node))

	node.Delay = automation.Delay{}
	text, err = json.Marshal(node)
	require.NoError(t, err)
	require.JSONEq(t, `{}`, string(text))
}

func TestDelayRefuses(t *testing.T) {
	t.Parallel()
	const oneOf = `a delay has exactly one of "for" and "until"`
	const businessDays = "business days are a whole number of days such as 2d, at most 1000d"
	const offset = "an offset is an amount of time with or without a sign, such as -2d, 3h or 1w, at most ten years"
	p := func(pointer, code, message string) automation.Problem {
		return automation.Problem{Pointer: "/delay" + pointer, Code: code, Message: message}
	}
	for _, tt := range []struct {
		name, delay string
		want        []automation.Problem
	}{
		{"a number", `3`, []automation.Problem{p("", "delay-out-of-range", "an amount of time is a text such as 90s, 15m, 8h, 3d or 2w")}},
		{"a list", `[]`, []automation.Problem{p("", "delay-out-of-range", "an amount of time is a text such as 90s, 15m, 8h, 3d or 2w")}},
		{"another text", `"soon"`, []automation.Problem{p("", "delay-out-of-range", `"soon" is not an amount of time such as 90s, 15m, 8h, 3d or 2w`)}},
		{"eleven years", `{"for": "4015d"}`, []automation.Problem{p("/for", "delay-out-of-range", `"4015d" is longer than ten years`)}},
		{"an empty object", `{}`, []automation.Problem{p("", "delay-invalid", oneOf)}},
		{"null for an amount", `{"for": null}`, []automation.Problem{p("", "delay-invalid", oneOf)}},
		{"both", `{"for": "0", "until": {"at": "09:00"}}`, []automation.Problem{p("", "delay-invalid", oneOf)}},
		{"business days of nothing", `{"business_days": true}`, []automation.Problem{p("", "delay-invalid", oneOf)}},
		{"another member", `{"fro": "2d"}`, []automation.Problem{p("/fro", "unknown-field", `unknown field "fro"; known are business_days, for, until`)}},
		{"business hours", `{"for": "48h", "business_days": true}`, []automation.Problem{p("/for", "delay-invalid", businessDays)}},
		{"business weeks", `{"for": "1w", "business_days": true}`, []automation.Problem{p("/for", "delay-invalid", businessDays)}},
		{"no business days", `{"for": "0d", "business_days": true}`, []automation.Problem{p("/for", "delay-invalid", businessDays)}},
		{"too many business days", `{"for": "1001d", "business_days": true}`, []automation.Problem{p("/for", "delay-invalid", businessDays)}},
		{"a text for the end", `{"until": "09:00"}`, []automation.Problem{p("/until", "wrong-type", "must be an object, is a text")}},
		{"an end without anything", `{"until": {}}`, []automation.Problem{p("/until", "delay-invalid", `an "until" has an "at", an "on", a "date" or a "property"`)}},
		{"business days until", `{"until": {"at": "09:00"}, "business_days": true}`, []automation.Problem{p("/business_days", "delay-invalid", `only a "for" counts business days`)}},
		{"the end of the day", `{"until": {"at": "24:00"}}`, []automation.Problem{p("/until/at", "invalid-time", "must be a time from 00:00 to 23:59 such as 09:00")}},
		{"a time without a zero", `{"until": {"at": "9:00"}}`, []automation.Problem{p("/until/at", "invalid-time", "must be a time from 00:00 to 23:59 such as 09:00")}},
		{"no days", `{"until": {"on": []}}`, []automation.Problem{p("/until/on", "invalid-day", "a list of days names at least one, such as monday")}},
		{"days that are none", `{"until": {"on": ["Monday", "friday", "friday"]}}`, []automation.Problem{
			p("/until/on/0", "unknown-weekday", `there is no weekday "Monday"; they are monday to sunday`),
			p("/until/on/2", "duplicate-day", "friday is also that at /delay/until/on/1"),
		}},
		{"a date that is none", `{"until": {"date": "2027-02-29"}}`, []automation.Problem{p("/until/date", "invalid-date", "must be a date such as 2027-01-04")}},
		{"a weekday of a date", `{"until": {"date": "2027-01-04", "on": ["monday"]}}`, []automation.Problem{
			p("/until/on", "delay-invalid", `an "on" goes with an "at" or alone, not with a "date" or a "property"`),
		}},
		{"a date and a property", `{"until": {"date": "2027-01-04", "property": "start_date"}}`, []automation.Problem{
			p("/until", "delay-invalid", `an "until" has at most one of "date" and "property"`),
		}},
		{"a property that there is not", `{"until": {"property": "birthday"}}`, []automation.Problem{p("/until/property", "unknown-property", `there is no property "birthday"`)}},
		{"a property of another type", `{"until": {"property": "job_title"}}`, []automation.Problem{
			p("/until/property", "wrong-type", `the property "job_title" must be a date or a datetime, is of type string`),
		}},
		{"an offset that is none", `{"until": {"property": "start_date", "offset": "soon"}}`, []automation.Problem{p("/until/offset", "offset-out-of-range", offset)}},
		{"an offset of eleven years", `{"until": {"property": "start_date", "offset": "-4015d"}}`, []automation.Problem{p("/until/offset", "offset-out-of-range", offset)}},
		{"hours from a date with a time", `{"until": {"property": "start_date", "offset": "-1d2h", "at": "09:00"}}`, []automation.Problem{
			p("/until/offset", "delay-invalid", `where there is an "at", the offset from a date is a number of whole days`),
		}},
		{"what only a property has", `{"until": {"at": "09:00", "offset": "1d", "if_missing": "exit", "if_past": "exit"}}`, []automation.Problem{
			p("/until/offset", "delay-invalid", `only a property has an "offset"`),
			p("/until/if_missing", "delay-invalid", `only a property has an "if_missing"`),
			p("/until/if_past", "delay-invalid", `only a date or a property has an "if_past"`),
		}},
		{"unknown consequences", `{"until": {"property": "start_date", "if_missing": "skip", "if_past": "wait"}}`, []automation.Problem{
			p("/until/if_missing", "delay-invalid", `must be exit, continue, fail or wait, is "skip"`),
			p("/until/if_past", "delay-invalid", `must be continue, exit or fail, is "wait"`),
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, problems := judgedDelay(t, tt.delay)
			require.Equal(t, strictjson.Problems(tt.want), problems)
		})
	}
}

func TestDelaysThatNoDocumentHasAreRefused(t *testing.T) {
	t.Parallel()
	for _, d := range []automation.Delay{
		{For: -1},
		{For: automation.Duration(automation.MaxDuration) + 1},
		{For: automation.Duration(36 * time.Hour), BusinessDays: true},
		{Until: &automation.Until{Property: "start_date", Offset: automation.Offset{Days: 3661}}},
		{Until: &automation.Until{Property: "start_date", Offset: automation.Offset{Days: -3660, Time: -1}}},
	} {
		var problems strictjson.Problems
		d.Validate("/delay", &problems, automation.Properties{"start_date": {Name: "start_date", Type: filter.Date}})
		require.Len(t, problems, 1, "%s", d)
	}
}

func TestOffsets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text, writes string
		want         automation.Offset
	}{
		{"0", "0", automation.Offset{}},
		{"-0d", "0", automation.Offset{}},
		{"-2d", "-2d", automation.Offset{Days: -2}},
		{"+3h", "3h", automation.Offset{Time: 3 * time.Hour}},
		{"1w", "1w", automation.Offset{Days: 7}},
		{"15d", "15d", automation.Offset{Days: 15}},
		{"-1d12h", "-1d12h", automation.Offset{Days: -1, Time: -12 * time.Hour}},
		{"12h1d", "1d12h", automation.Offset{Days: 1, Time: 12 * time.Hour}},
		{"24h", "24h", automation.Offset{Time: 24 * time.Hour}},
		{"2w36h90s", "14d36h1m30s", automation.Offset{Days: 14, Time: 36*time.Hour + 90*time.Second}},
		{"-48h", "-48h", automation.Offset{Time: -48 * time.Hour}},
		{"3660d", "3660d", automation.Offset{Days: 3660}},
		{"87840h", "87840h", automation.Offset{Time: automation.MaxDuration}},
	} {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			var got, again automation.Offset
			require.NoError(t, got.UnmarshalText([]byte(tt.text)))
			require.Equal(t, tt.want, got)
			require.Equal(t, tt.writes, got.String())
			require.NoError(t, again.UnmarshalText([]byte(tt.writes)))
			require.Equal(t, got, again)
		})
	}
	for _, text := range []string{"", "-", "2", "d", "1 d", "--1d", "1d-2h", "1.5d", "3661d", "-3660d1s", "999999999m", "999999999h", "9999999999s", "1d\n", "1y"} {
		require.Error(t, new(automation.Offset).UnmarshalText([]byte(text)), "%q", text)
	}
}

func TestWhatADelayIs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		delay        string
		plain, waits bool
		reads        string
	}{
		{`"3d"`, true, true, ""},
		{`"0"`, true, false, ""},
		{`{"for": "1d", "business_days": true}`, false, true, ""},
		{`{"until": {"at": "09:00"}}`, false, true, ""},
		{`{"until": {"on": ["monday"]}}`, false, true, ""},
		{`{"until": {"date": "2027-01-04", "at": "09:00"}}`, false, false, ""},
		{`{"until": {"property": "start_date"}}`, false, false, "start_date"},
	} {
		t.Run(tt.delay, func(t *testing.T) {
			t.Parallel()
			d := delay(t, tt.delay)
			require.Equal(t, tt.plain, d.Plain())
			require.Equal(t, tt.waits, d.Waits())
			require.Equal(t, tt.reads, d.Reads())
		})
	}
	u := delay(t, `{"until": {"property": "start_date"}}`).Until
	require.Equal(t, automation.InsteadExit, u.Missing())
	require.Equal(t, automation.InsteadContinue, u.Past())
	u = delay(t, `{"until": {"property": "start_date", "if_missing": "wait", "if_past": "fail"}}`).Until
	require.Equal(t, automation.InsteadWait, u.Missing())
	require.Equal(t, automation.InsteadFail, u.Past())
}

func TestDue(t *testing.T) {
	t.Parallel()
	const warsaw, newYork, apia, saoPaulo, beirut, cairo, lordHowe = "Europe/Warsaw", "America/New_York", "Pacific/Apia", "America/Sao_Paulo", "Asia/Beirut", "Africa/Cairo", "Australia/Lord_Howe"
	for _, tt := range []struct{ name, delay, zone, entered, want string }{
		{"no wait", `"0"`, warsaw, "2026-11-20T15:00:00+01:00", "2026-11-20T15:00:00+01:00"},
		{"days have 24 hours", `"1d"`, warsaw, "2026-03-28T15:00:00+01:00", "2026-03-29T16:00:00+02:00"},

		{"business days over a weekend", `{"for": "2d", "business_days": true}`, warsaw, "2026-11-20T15:00:00+01:00", "2026-11-24T15:00:00+01:00"},
		{"a business day from a Saturday", `{"for": "1d", "business_days": true}`, warsaw, "2026-11-21T10:00:00+01:00", "2026-11-23T10:00:00+01:00"},
		{"business days keep the local time", `{"for": "1d", "business_days": true}`, warsaw, "2026-03-27T15:04:05.6+01:00", "2026-03-30T15:04:05.6+02:00"},
		{"business days skip a day off", `{"for": "1d", "business_days": true}`, warsaw, "2026-12-24T10:00:00+01:00", "2026-12-28T10:00:00+01:00"},
		{"the local day counts", `{"for": "1d", "business_days": true}`, newYork, "2026-11-20T23:00:00-05:00", "2026-11-23T23:00:00-05:00"},
		{"a day that the clocks left out is no business day", `{"for": "1d", "business_days": true}`, apia, "2011-12-29T15:00:00-10:00", "2012-01-02T15:00:00+14:00"},

		{"the same day", `{"until": {"at": "09:00"}}`, warsaw, "2026-11-20T08:59:59+01:00", "2026-11-20T09:00:00+01:00"},
		{"not the moment itself", `{"until": {"at": "09:00"}}`, warsaw, "2026-11-20T09:00:00+01:00", "2026-11-21T09:00:00+01:00"},
		{"the next of two weekdays", `{"until": {"at": "09:00", "on": ["friday", "monday"]}}`, warsaw, "2026-11-20T09:00:00+01:00", "2026-11-23T09:00:00+01:00"},
		{"a weekday begins", `{"until": {"on": ["monday"]}}`, newYork, "2026-11-20T09:00:00-05:00", "2026-11-23T00:00:00-05:00"},
		{"a week later", `{"until": {"on": ["monday"]}}`, newYork, "2026-11-23T00:00:00-05:00", "2026-11-30T00:00:00-05:00"},
		{"a time that is left out", `{"until": {"at": "02:30"}}`, warsaw, "2026-03-28T12:00:00+01:00", "2026-03-29T03:00:00+02:00"},
		{"a time that is shown twice", `{"until": {"at": "02:30"}}`, warsaw, "2026-10-24T12:00:00+02:00", "2026-10-25T02:30:00+02:00"},
		{"between the two", `{"until": {"at": "02:30"}}`, warsaw, "2026-10-25T02:45:00+02:00", "2026-10-26T02:30:00+01:00"},
		{"a midnight that is left out", `{"until": {"on": ["sunday"]}}`, saoPaulo, "2017-10-13T12:00:00-03:00", "2017-10-15T01:00:00-02:00"},
		{"a midnight after a fold", `{"until": {"on": ["sunday"]}}`, saoPaulo, "2018-02-17T23:30:00-02:00", "2018-02-18T00:00:00-03:00"},
		{"a midnight that Beirut leaves out", `{"until": {"at": "00:00"}}`, beirut, "2026-03-28T12:00:00+02:00", "2026-03-29T01:00:00+03:00"},
		{"a time that Cairo leaves out", `{"until": {"at": "00:30"}}`, cairo, "2026-04-23T12:00:00+02:00", "2026-04-24T01:00:00+03:00"},
		{"half an hour that is left out", `{"until": {"at": "02:15"}}`, lordHowe, "2026-10-03T12:00:00+10:30", "2026-10-04T02:30:00+11:00"},

		{"a date", `{"until": {"date": "2027-01-04"}}`, newYork, "2026-11-20T12:00:00Z", "2027-01-04T00:00:00-05:00"},
		{"a date with a time", `{"until": {"date": "2027-01-04", "at": "09:00"}}`, newYork, "2026-11-20T12:00:00Z", "2027-01-04T09:00:00-05:00"},
		{"a date whose time is left out", `{"until": {"date": "2027-03-28", "at": "02:30"}}`, warsaw, "2026-11-20T12:00:00Z", "2027-03-28T03:00:00+02:00"},

		{"a date of the user", `{"until": {"property": "start_date"}}`, warsaw, "2026-11-20T12:00:00Z", "2027-03-29T00:00:00+02:00"},
		{"two days before it at a time", `{"until": {"property": "start_date", "offset": "-2d", "at": "09:00"}}`, warsaw, "2026-11-20T12:00:00Z", "2027-03-27T09:00:00+01:00"},
		{"a week after it", `{"until": {"property": "start_date", "offset": "1w"}}`, warsaw, "2026-11-20T12:00:00Z", "2027-04-05T00:00:00+02:00"},
		{"hours before it", `{"until": {"property": "start_date", "offset": "-3h"}}`, warsaw, "2026-11-20T12:00:00Z", "2027-03-28T21:00:00+02:00"},
		{"a day and hours before it", `{"until": {"property": "start_date", "offset": "-1d23h"}}`, warsaw, "2026-11-20T12:00:00Z", "2027-03-27T01:00:00+01:00"},

		{"an instant of the user", `{"until": {"property": "renews_at"}}`, warsaw, "2026-10-20T12:00:00Z", "2026-10-24T20:30:00Z"},
		{"the same local time a day later", `{"until": {"property": "renews_at", "offset": "1d"}}`, warsaw, "2026-10-20T12:00:00Z", "2026-10-25T22:30:00+01:00"},
		{"24 hours later", `{"until": {"property": "renews_at", "offset": "24h"}}`, warsaw, "2026-10-20T12:00:00Z", "2026-10-25T21:30:00+01:00"},
		{"a time of its local day", `{"until": {"property": "renews_at", "at": "23:00"}}`, warsaw, "2026-10-20T12:00:00Z", "2026-10-24T23:00:00+02:00"},
		{"a time of the local day of another zone", `{"until": {"property": "renews_at", "at": "23:00"}}`, "Asia/Tokyo", "2026-10-20T12:00:00Z", "2026-10-25T23:00:00+09:00"},
		{"a time of the day that the offset leads to", `{"until": {"property": "renews_at", "offset": "-1d", "at": "09:00"}}`, warsaw, "2026-10-20T12:00:00Z", "2026-10-23T09:00:00+02:00"},
		{"an instant in an hour that is shown twice", `{"until": {"property": "twice_at"}}`, warsaw, "2026-10-20T12:00:00Z", "2026-10-25T02:30:00+01:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var d automation.Delay
			require.NoError(t, json.Unmarshal([]byte(tt.delay), &d))
			user := map[string]any{"start_date": "2027-03-29", "renews_at": "2026-10-24T20:30:00Z", "twice_at": "2026-10-25T01:30:00Z"}
			c := automation.LocalCalendar{Zone: zone(t, tt.zone), DaysOff: automation.DaysOff{"12-25"}.Has}
			due, err := d.Due(instant(t, tt.entered), user, c)
			require.NoError(t, err)
			require.Equal(t, automation.Due{At: instant(t, tt.want).UTC()}, due)
		})
	}
}

func TestADateThatIsEmptyOrPast(t *testing.T) {
	t.Parallel()
	entered := instant(t, "2026-11-20T09:00:00Z")
	past := func(text string) automation.Due { return automation.Due{At: instant(t, text), Past: true} }
	for _, tt := range []struct {
		name, delay string
		value       any
		want        automation.Due
	}{
		{"no value", `{"until": {"property": "p"}}`, nil, automation.Due{Missing: true}},
		{"an empty text", `{"until": {"property": "p"}}`, "", automation.Due{Missing: true}},
		{"another text", `{"until": {"property": "p"}}`, "soon", automation.Due{Missing: true}},
		{"a date that is none", `{"until": {"property": "p"}}`, "2027-02-29", automation.Due{Missing: true}},
		{"a number", `{"until": {"property": "p"}}`, 20270104.0, automation.Due{Missing: true}},
		{"a date before", `{"until": {"property": "p"}}`, "2026-11-20", past("2026-11-20T00:00:00Z")},
		{"an instant before", `{"until": {"property": "p", "offset": "-1d"}}`, "2026-11-20T10:00:00Z", past("2026-11-19T10:00:00Z")},
		{"the moment itself", `{"until": {"property": "p", "at": "09:00"}}`, "2026-11-20", past("2026-11-20T09:00:00Z")},
		{"a moment later", `{"until": {"property": "p", "at": "09:01"}}`, "2026-11-20", automation.Due{At: instant(t, "2026-11-20T09:01:00Z")}},
		{"a date of one's own", `{"until": {"date": "2020-01-01"}}`, nil, past("2020-01-01T00:00:00Z")},
		{"the first year", `{"until": {"property": "p", "offset": "-5w"}}`, "0001-01-01", past("0001-01-02T00:00:00Z")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var d automation.Delay
			require.NoError(t, json.Unmarshal([]byte(tt.delay), &d))
			due, err := d.Due(entered, map[string]any{"p": tt.value}, automation.LocalCalendar{})
			require.NoError(t, err)
			require.Equal(t, tt.want, due)
		})
	}
}

func TestADelayThatEndsTooFarAway(t *testing.T) {
	t.Parallel()
	entered := instant(t, "2026-11-20T09:00:00Z")
	always := automation.LocalCalendar{DaysOff: func(time.Time) bool { return true }}
	for _, tt := range []struct {
		name string
		d    automation.Delay
	}{
		{"a date", automation.Delay{Until: &automation.Until{Date: "2036-11-28"}}},
		{"the last date", automation.Delay{Until: &automation.Until{Date: "9999-12-31"}}},
		{"a date of the user", automation.Delay{Until: &automation.Until{Property: "p"}}},
		{"business days where nobody ever works", automation.Delay{For: automation.Duration(24 * time.Hour), BusinessDays: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			due, err := tt.d.Due(entered, map[string]any{"p": "2100-01-01"}, always)
			require.ErrorIs(t, err, automation.ErrTooFar)
			require.ErrorIs(t, err, automation.ErrInvalid)
			require.Zero(t, due)
		})
	}
	due, err := automation.Delay{Until: &automation.Until{Date: "2036-11-27"}}.Due(entered, nil, always)
	require.NoError(t, err)
	require.False(t, due.Past)
}
