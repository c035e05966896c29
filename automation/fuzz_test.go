package automation_test

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/examples"
	"rollcall/internal/golden"
	"rollcall/strictjson"
)

// FuzzDocument reads any bytes as a workflow. What is read is written as it is read, each problem stands
// somewhere in the document, and what is valid runs: every way out of a step leads to one.
func FuzzDocument(f *testing.F) {
	files, err := fs.Glob(examples.Files, "*.yaml")
	require.NoError(f, err)
	for _, file := range files {
		text, err := fs.ReadFile(examples.Files, file)
		require.NoError(f, err)
		converted, err := yaml.YAMLToJSON(text)
		require.NoError(f, err)
		f.Add(converted)
	}
	for _, file := range golden.Files(f, "testdata/*.txt") {
		if given, _ := golden.Read(f, file); len(given) < 8<<10 {
			f.Add([]byte(given))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := automation.ParseDocument(text)
		if _, ok := errors.AsType[*strictjson.SyntaxError](err); ok {
			return
		}
		v, parseErr := strictjson.Parse(text)
		require.NoError(t, parseErr)
		if err != nil {
			invalid, ok := errors.AsType[*automation.InvalidError](err)
			require.True(t, ok, err)
			placed(t, v, invalid.Problems)
			return
		}
		problems := d.Validate(catalog(), properties())
		placed(t, v, problems)

		again := asWritten(t, d)
		require.Equal(t, again, asWritten(t, again))
		_, err = d.Mermaid()
		if len(problems) > 0 {
			return
		}
		require.NoError(t, err)
		require.Empty(t, again.Validate(catalog(), properties()))
		runs(t, d)
		require.Equal(t, d.Compile(1, catalog()), again.Compile(1, catalog()))
	})
}

// placed checks that each problem says what is wrong, and where in the document.
func placed(t *testing.T, v any, problems automation.Problems) {
	t.Helper()
	for _, p := range problems {
		require.NotEmpty(t, p.Code)
		require.NotEmpty(t, p.Message)
		require.Less(t, len(p.Message), 4000)
		require.True(t, leads(v, p.Pointer), "%v", p)
	}
}

// leads reports whether a pointer leads to a place of a document, or to where something is missing.
func leads(v any, pointer string) bool {
	for _, name := range strings.Split(pointer, "/")[1:] {
		switch in := v.(type) {
		case nil:
			return true
		case map[string]any:
			v = in[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(in) {
				return false
			}
			v = in[i]
		default:
			return false
		}
	}
	return pointer == "" || pointer[0] == '/'
}

// asWritten reads a document again that was written in its normal form, which must have the same hash.
func asWritten(t *testing.T, d *automation.Document) *automation.Document {
	t.Helper()
	text, hash, err := d.Normal()
	require.NoError(t, err)
	again, err := automation.ParseDocument(text)
	require.NoError(t, err, "%s", text)
	_, same, err := again.Normal()
	require.NoError(t, err)
	require.Equal(t, hash, same)
	return again
}

// runs checks that a valid document is a program that can be run.
func runs(t *testing.T, d *automation.Document) {
	t.Helper()
	p := d.Compile(1, catalog())
	steps := map[string]bool{"": true}
	for _, n := range p.Nodes {
		require.False(t, steps[n.ID], n.ID)
		steps[n.ID] = true
	}
	require.NotEmpty(t, p.Start)
	ways := []string{p.Start}
	for _, n := range p.Nodes {
		ways = append(ways, append(n.Arms, n.To, n.Next, n.Leads(1))...)
		if n.Rescue != nil {
			ways = append(ways, *n.Rescue)
		}
		step, found := d.Step(n.ID)
		require.True(t, found)
		require.Equal(t, step.Kind(), n.Kind)
	}
	for _, to := range ways {
		require.True(t, steps[to], "a way leads to %q", to)
	}
	require.NotEmpty(t, p.Outline())
	text, err := json.Marshal(p)
	require.NoError(t, err)
	require.LessOrEqual(t, len(text), automation.MaxProgram)
	var back automation.Program
	require.NoError(t, json.Unmarshal(text, &back))
	written, err := json.Marshal(back)
	require.NoError(t, err)
	require.Equal(t, string(text), string(written))
}

// FuzzAmount reads texts as amounts of time: of a delay, before and after a date, and in whole days. What
// is read is written as a text that reads the same, and where one text is several of them, they agree.
func FuzzAmount(f *testing.F) {
	for _, text := range []string{
		"0", "90s", "15m", "8h", "3d", "2w", "1y", "1d12h", "1d\n", "-2d", "+3h", "-1d12h", "+0d", "-0s", "3660d", "3661d", "87840h", "1w1d1h1m1s", "36h", "1d36h",
		"", "d", "1", "1.5d", "1 d", "1D", "--1d", "9223372036854775808s", "999999999w", "000000000001d", "366d", "-000366d", "१d", "-", "10y10d", "1y-1d",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := automation.ParseDuration(text)
		if err == nil {
			require.GreaterOrEqual(t, d, automation.Duration(0))
			require.LessOrEqual(t, d, automation.Duration(automation.MaxDuration))
			back, err := automation.ParseDuration(d.String())
			require.NoError(t, err)
			require.Equal(t, d, back, d.String())
		}
		var o automation.Offset
		failed := o.UnmarshalText([]byte(text))
		if failed == nil {
			var back automation.Offset
			require.NoError(t, back.UnmarshalText([]byte(o.String())))
			require.Equal(t, o, back, o.String())
			require.False(t, o.Days < 0 && o.Time > 0 || o.Days > 0 && o.Time < 0, "both parts have one sign")
			if err == nil {
				require.Equal(t, time.Duration(d), time.Duration(o.Days)*day+o.Time)
			}
		} else if err == nil && !strings.Contains(text, "y") && len(text) < 9 {
			require.NoError(t, failed, "an amount of time is an offset, too")
		}
		var days automation.DayOffset
		if days.UnmarshalText([]byte(text)) == nil {
			written, err := days.MarshalText()
			require.NoError(t, err)
			var back automation.DayOffset
			require.NoError(t, back.UnmarshalText(written))
			require.Equal(t, days, back)
			if failed == nil {
				require.Equal(t, automation.Offset{Days: int(days)}, o)
			}
		}
	})
}

const day = 24 * time.Hour

// some are instants and zones for what happens in time; any others will do, too.
const (
	someTime = int64(1_799_053_200)
	someZone = "America/Sao_Paulo"
)

// place makes an instant of the years from 1970 to 2100, and a zone, of what is fuzzed.
func place(at int64, name string) (time.Time, *time.Location) {
	zone := automation.Schedule{TimeZone: name}.Zone(time.UTC)
	return time.Unix(max(at, -at)%(130*366*24*3600), 0), zone
}

// read reads one value in JSON, and says whether that is possible and nothing is wrong with it.
func read[T any](t *testing.T, text []byte, into *T, validate func(p *strictjson.Problems)) bool {
	t.Helper()
	v, err := strictjson.Parse(text)
	if err != nil || v == nil {
		return false
	}
	var problems strictjson.Problems
	strictjson.Decode(v, "", into, &problems)
	if len(problems) == 0 {
		validate(&problems)
	}
	placed(t, v, problems)
	return len(problems) == 0
}

// rewritten reads a value again that was written.
func rewritten[T any](t *testing.T, value T) T {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	v, err := strictjson.Parse(text)
	require.NoError(t, err)
	var again T
	var problems strictjson.Problems
	strictjson.Decode(v, "", &again, &problems)
	require.Empty(t, problems, "%s", text)
	return again
}

// FuzzDelay reads texts as delays. A good one is written as it is read, and ends when it says.
func FuzzDelay(f *testing.F) {
	for _, text := range []string{
		`"3d"`, `0`, `"0"`, `{"for": "2d", "business_days": true}`, `{"for": "1000d", "business_days": true}`, `{"for": "14d"}`, `{"until": {"at": "09:00", "on": ["monday"]}}`,
		`{"until": {"date": "2027-01-04", "at": "09:00"}}`, `{"until": {"date": "9999-12-31"}}`, `{"until": {"on": ["sunday", "friday"]}}`,
		`{"until": {"property": "hired", "offset": "-2d", "at": "09:00", "if_missing": "wait", "if_past": "fail"}}`, `{"until": {"property": "seen_at", "offset": "-1d12h"}}`,
		`{"until": {"property": "seen_at", "at": "00:00"}}`, `{"until": {"property": "hired", "offset": "25h"}}`, `{"until": {}}`, `{}`, `[]`, `"soon"`, `{"for": "48h", "business_days": true}`,
		`{"until": {"property": "title"}, "business_days": true}`,
	} {
		f.Add([]byte(text), "2027-01-04", someTime, someZone)
	}
	f.Add([]byte(`{"until": {"property": "seen_at", "offset": "3660d"}}`), "0001-01-01T00:00:00+23:59", someTime, "Pacific/Apia")
	f.Add([]byte(`{"until": {"property": "hired", "at": "00:30"}}`), "2011-12-30", int64(1_325_000_000), "Pacific/Apia")
	f.Fuzz(func(t *testing.T, text []byte, value string, at int64, name string) {
		var d automation.Delay
		if !read(t, text, &d, func(p *strictjson.Problems) { d.Validate("", p, properties()) }) {
			return
		}
		require.Equal(t, d, rewritten(t, d))
		stored, err := json.Marshal(d)
		require.NoError(t, err)
		var back automation.Delay
		require.NoError(t, json.Unmarshal(stored, &back))
		require.Equal(t, d, back)
		require.NotEmpty(t, d.String())

		entered, zone := place(at, name)
		calendar := automation.LocalCalendar{Zone: zone}
		due, err := d.Due(entered, map[string]any{"hired": value, "seen_at": value}, calendar)
		switch {
		case err != nil:
			require.ErrorIs(t, err, automation.ErrTooFar)
		case due.Missing:
			require.NotEmpty(t, d.Reads())
			require.Zero(t, due.At)
		default:
			require.Equal(t, time.UTC, due.At.Location())
			require.False(t, due.At.After(entered.Add(automation.MaxDuration)))
			require.True(t, due.Past || !due.At.Before(entered), "it ends at %v, before it began", due.At)
			_, err := json.Marshal(due)
			require.NoError(t, err)
		}
	})
}

// FuzzSchedule reads texts as schedules. A good one is written as it is read, and fires one time after
// another, in words and in the calendars of Temporal, too.
func FuzzSchedule(f *testing.F) {
	for _, text := range []string{
		`{"every": "day", "at": "09:00"}`, `{"every": "week", "on": ["monday", "sunday"], "at": "00:00", "time_zone": "America/Havana"}`,
		`{"every": "month", "on": [1, 15, "last", "first monday", "last friday"], "at": "23:59"}`, `{"every": "month", "on": [31], "at": "02:30"}`,
		`{"every": "year", "on": ["01-16", "02-29"], "at": "09:00", "skip_missing": true}`, `{"once": "2027-01-04", "at": "09:00"}`, `{"once": "9999-12-31", "at": "23:59"}`,
		`{"property": "hired", "yearly": true, "offset": "-7d", "at": "09:00"}`, `{"property": "hired", "offset": 0, "at": "09:00"}`, `{"every": "hour", "at": "9:00"}`,
		`{"every": "month", "on": ["1"], "at": "00:30"}`, `{"every": "week", "on": [], "at": "00:30"}`, `{"every": "month", "on": [1, "01"], "at": "00:30"}`, `{}`,
	} {
		f.Add([]byte(text), someTime, someZone)
	}
	f.Add([]byte(`{"every": "day", "at": "00:00"}`), int64(1_325_200_000), "Pacific/Apia")
	f.Fuzz(func(t *testing.T, text []byte, at int64, name string) {
		var s automation.Schedule
		if !read(t, text, &s, func(p *strictjson.Problems) { s.Validate("", p, properties()) }) {
			return
		}
		require.Equal(t, s.String(), rewritten(t, s).String())
		require.NotEmpty(t, s.Calendars())

		after, zone := place(at, name)
		upcoming := s.Upcoming(after, zone, 4)
		last := automation.Firing{At: after}
		for _, firing := range upcoming {
			require.True(t, firing.At.After(after))
			require.False(t, firing.At.Before(last.At))
			require.Greater(t, firing.Nominal, last.Nominal)
			last = firing
		}
		if len(upcoming) == 0 {
			require.NotEmpty(t, s.Once, "only what fires once comes to an end")
			return
		}
		next, ok := s.Next(after, zone)
		require.True(t, ok)
		require.Equal(t, upcoming[0], next)
		between := s.Between(after, last.At, zone)
		require.GreaterOrEqual(t, len(between), len(upcoming))
		require.Equal(t, upcoming, between[:len(upcoming)])
	})
}

// FuzzHours reads texts as hours. Good ones open, and are open when they do.
func FuzzHours(f *testing.F) {
	for _, text := range []string{
		`{}`, `{"windows": [{"days": ["monday", "friday"], "from": "09:00", "to": "17:00"}], "except": ["2026-12-24", "12-25"]}`,
		`{"windows": [{"from": "00:00", "to": "24:00"}], "holidays": "PL"}`, `{"windows": [{"from": "09:00", "to": "12:00"}, {"from": "11:00", "to": "11:30"}, {"from": "12:00", "to": "13:00"}]}`,
		`{"windows": [{"days": [], "from": "09:00", "to": "09:00"}]}`, `{"except": ["02-29", "02-30", "2026-1-1", "0000-01-01"]}`, `{"windows": [{"days": ["someday"], "from": "9", "to": "25:00"}]}`,
	} {
		f.Add([]byte(text), someTime, someZone)
	}
	f.Add([]byte(`{"windows": [{"from": "00:15", "to": "00:45"}]}`), int64(1_325_200_000), "Pacific/Apia")
	f.Fuzz(func(t *testing.T, text []byte, at int64, name string) {
		var h automation.Hours
		if !read(t, text, &h, func(p *strictjson.Problems) { h.Validate("", p, nil) }) {
			return
		}
		require.Equal(t, rewritten(t, h), rewritten(t, rewritten(t, h)))

		now, zone := place(at, name)
		calendar := automation.LocalCalendar{Zone: zone}
		open, closes, ok := h.NextOpen(now, calendar)
		if !ok {
			return
		}
		require.False(t, open.Before(now))
		require.True(t, closes.After(open))
		again, closesAgain, ok := h.NextOpen(open, calendar)
		require.True(t, ok)
		require.True(t, again.Equal(open) && closesAgain.Equal(closes), "it opens at %v, and when it has, at %v", open, again)
		release := h.Release(open, closes, name)
		require.False(t, release.Before(open))
		require.True(t, release.Before(closes))
	})
}

var keyForm = regexp.MustCompile(`^rc_[a-z2-7]{16}_[A-Za-z0-9_-]{43}[a-z2-7]{7}$`)

// FuzzKeyText makes keys and spoils them: a key is read as itself, and one with another character in it is
// none.
func FuzzKeyText(f *testing.F) {
	for _, random := range []string{"", "0123456789", strings.Repeat("\xff", 42), strings.Repeat("\x00\x01", 21)} {
		for _, at := range []uint8{0, 3, 19, 20, 62, 69} {
			f.Add([]byte(random), at, "a")
		}
	}
	f.Add([]byte(""), uint8(5), "\x00")
	f.Add([]byte(""), uint8(5), "é")
	f.Fuzz(func(t *testing.T, random []byte, at uint8, letter string) {
		var bytes [42]byte
		copy(bytes[:], random)
		id, text := automation.NewKeyText(bytes)
		require.Regexp(t, keyForm, text)
		found, digest, ok := automation.ParseKeyText(text)
		require.True(t, ok)
		require.Equal(t, id, found)

		i := int(at) % len(text)
		spoiled := text[:i] + letter + text[i+1:]
		_, another, ok := automation.ParseKeyText(spoiled)
		require.Equal(t, spoiled == text, ok, "%q", spoiled)
		require.Equal(t, ok, another == digest)
	})
}

// FuzzKeyBody has texts with the checksum of a key, which anybody can work out.
func FuzzKeyBody(f *testing.F) {
	_, text := automation.NewKeyText([42]byte{})
	f.Add(text[3:63])
	f.Add("")
	f.Fuzz(func(t *testing.T, body string) {
		body = "rc_" + body
		sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(body)))
		text := body + base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding).EncodeToString(sum)
		id, _, ok := automation.ParseKeyText(text)
		if !ok {
			return
		}
		require.Regexp(t, `^[a-z2-7]{16}$`, id, "the id is looked up")
		_, err := base64.RawURLEncoding.DecodeString(text[20:63])
		require.NoError(t, err)
	})
}

// FuzzValue checks values of every type of property. The normal form of a value is its own, and survives
// being stored.
func FuzzValue(f *testing.F) {
	names := []string{}
	known := map[string]automation.Property{}
	for _, p := range automation.BuiltInProperties() {
		names, known[p.Name] = append(names, p.Name), p
	}
	for i := range names {
		for _, value := range []string{
			`null`, `""`, `"a"`, `1`, `-0`, `true`, `[]`, `["b", "a", "b"]`, `["", 1]`, `{}`, `"2027-01-04"`, `"2027-02-29"`, `"2027-01-04T09:00:00.1234567+14:00"`, `"ada@example.com"`,
			`"Europe/Warsaw"`, `"active"`, `"0001-01-01T00:00:00+23:59"`, `"9999-12-31T23:59:59-23:59"`, `["active"]`,
		} {
			f.Add(uint8(i), []byte(value))
		}
	}
	f.Fuzz(func(t *testing.T, i uint8, text []byte) {
		v, err := strictjson.Parse(text)
		if err != nil {
			return
		}
		p := known[names[int(i)%len(names)]]
		normal, problem := p.Check(v)
		if problem != "" {
			require.Nil(t, normal)
			require.Less(t, len(problem), 1000)
			return
		}
		stored, err := json.Marshal(normal)
		require.NoError(t, err)
		back, err := strictjson.Parse(stored)
		require.NoError(t, err)
		again, problem := p.Check(back)
		require.Empty(t, problem)
		require.Equal(t, normal, again)
	})
}
