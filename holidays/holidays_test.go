package holidays_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/holidays"
)

func day(t *testing.T, text string) time.Time {
	t.Helper()
	d, err := time.Parse(time.DateOnly, text)
	require.NoError(t, err)
	return d
}

func TestKnownDays(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, country, day string
		want               bool
	}{
		{"Independence Day in Poland", "PL", "2026-11-11", true},
		{"an ordinary day in Poland", "PL", "2026-11-12", false},
		{"Easter Monday in Poland", "PL", "2026-04-06", true},
		{"Easter Monday of another year in Poland", "PL", "2027-03-29", true},
		{"Good Friday is none in Poland", "PL", "2026-04-03", false},
		{"Corpus Christi in Poland", "PL", "2026-06-04", true},
		{"Christmas Eve in Poland since 2025", "PL", "2025-12-24", true},
		{"Christmas Eve in Poland before", "PL", "2024-12-24", false},
		{"Thanksgiving in the United States", "US", "2026-11-26", true},
		{"the day after Thanksgiving", "US", "2026-11-27", false},
		{"Independence Day of the United States on a Saturday", "US", "2026-07-04", true},
		{"the Friday before it", "US", "2026-07-03", true},
		{"New Year's Day of the year after, on a Friday", "US", "2021-12-31", true},
		{"German Unity Day", "DE", "2026-10-03", true},
		{"a holiday of some German states only", "DE", "2026-06-04", false},
		{"Good Friday in Germany", "DE", "2026-04-03", true},
		{"Boxing Day in Britain on a Saturday", "GB", "2026-12-26", true},
		{"its substitute on the Monday", "GB", "2026-12-28", true},
		{"the Tuesday after it", "GB", "2026-12-29", false},
		{"the summer bank holiday in Britain", "GB", "2026-08-31", true},
		{"Midsummer Eve in Sweden", "SE", "2026-06-19", true},
		{"Bastille Day", "FR", "2026-07-14", true},
		{"Orthodox Easter Monday", "GR", "2026-04-13", true},
		{"a prayer day in Denmark that was abolished", "DK", "2026-05-01", false},
		{"that day while there was one", "DK", "2023-05-05", true},
		{"a substitute in Japan three days later", "JP", "2026-05-06", true},
		{"Matariki in New Zealand", "NZ", "2026-07-10", true},
		{"the holidays after New Year in Russia", "RU", "2026-01-05", true},
		{"Epiphany in Romania since 2024", "RO", "2026-01-06", true},
		{"a day of Black consciousness in Brazil since 2024", "BR", "2026-11-20", true},
		{"Saint Francis in Italy since 2026", "IT", "2027-10-04", true},
		{"what all of Australia has", "AU", "2026-01-26", true},
		{"what most of Australia has", "AU", "2026-06-08", true},
		{"what Victoria alone has", "AU", "2026-11-03", false},
		{"what all of Switzerland has", "CH", "2026-08-01", true},
		{"what most of Switzerland has", "CH", "2026-04-03", true},
		{"what a few cantons have", "CH", "2026-03-19", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			holiday, ok := holidays.Of(tt.country)
			require.True(t, ok)
			require.Equal(t, tt.want, holiday(day(t, tt.day)))
		})
	}
}

func TestTheDomainKnowsTheSameCountries(t *testing.T) {
	t.Parallel()
	require.True(t, slices.IsSorted(automation.HolidayCountries))
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			code := string([]rune{a, b})
			_, known := holidays.Of(code)
			require.Equal(t, automation.CheckCountry(code), known, code)
		}
	}
	for _, code := range []string{"", "pl", "POL", "ECB", "none", "Poland"} {
		_, known := holidays.Of(code)
		require.False(t, known, code)
		require.False(t, automation.CheckCountry(code), code)
	}
	for _, code := range automation.HolidayCountries {
		require.Regexp(t, `^[A-Z]{2}$`, code)
	}
}

func TestEveryCountryWorksMostOfTheYear(t *testing.T) {
	t.Parallel()
	for _, country := range automation.HolidayCountries {
		holiday, _ := holidays.Of(country)
		for year := 2020; year <= 2045; year++ {
			n := 0
			for d := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() == year; d = d.AddDate(0, 0, 1) {
				if holiday(d) {
					n++
				}
			}
			require.True(t, n >= 7 && n <= 24, "%s has %d holidays in %d", country, n, year)
		}
		require.True(t, holiday(time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)), country)
	}
}

func TestHolidaysAreAskedForByManyAtOnce(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for _, country := range automation.HolidayCountries {
				holiday, _ := holidays.Of(country)
				for year := 2050; year < 2053; year++ {
					holiday(time.Date(year, 6, 15, 0, 0, 0, 0, time.UTC))
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkHoliday(b *testing.B) {
	holiday, _ := holidays.Of("GB")
	d := time.Date(2026, 12, 28, 0, 0, 0, 0, time.UTC)
	for b.Loop() {
		holiday(d)
	}
}
