package automation

import (
	"slices"
	"time"

	"rollcall/strictjson"
)

// MaxDaysOff is how many days a list of days off has at most.
const MaxDaysOff = 500

// DayOff is one day on which nobody works: a date, "2026-12-24", or the same day of every year,
// "12-24". A "02-29" comes in leap years only.
type DayOff string

func (o DayOff) valid() bool {
	layout := time.DateOnly
	if len(o) == len(monthDay) {
		layout = monthDay // in the year 0, which has a 29 February
	}
	_, err := time.Parse(layout, string(o))
	return err == nil
}

// DaysOff is a list of days on which nobody works.
type DaysOff []DayOff

// Has says whether a date is in the list.
func (l DaysOff) Has(day time.Time) bool {
	if len(l) == 0 {
		return false
	}
	text := DayOff(day.Format(time.DateOnly))
	return slices.Contains(l, text) || slices.Contains(l, text[len(text)-len(monthDay):])
}

// Validate adds all that is wrong with a list that stands at a pointer.
func (l DaysOff) Validate(at string, p *strictjson.Problems) {
	if len(l) > MaxDaysOff {
		p.Add(at, "too-many-days", "a list of days off has at most %d days", MaxDaysOff)
		return
	}
	for i, day := range l {
		if !day.valid() {
			p.Add(strictjson.Index(at, i), "invalid-date", `a day off is a date such as "2026-12-24", or "12-24" for every year`)
		}
	}
}

// HolidayCountries are the countries whose public holidays are known, as sorted ISO 3166 codes. The
// package holidays knows the days.
var HolidayCountries = []string{
	"AR", "AT", "AU", "BE", "BG", "BR", "CA", "CH", "CZ", "DE", "DK", "ES", "FR", "GB", "GR", "HR", "IE", "IT", "JP", "LT",
	"LV", "MW", "NC", "NL", "NO", "NZ", "PL", "RO", "RU", "SE", "SI", "SK", "UA", "US", "ZA",
}

// CheckCountry says whether the public holidays of a country are known.
func CheckCountry(code string) bool {
	_, known := slices.BinarySearch(HolidayCountries, code)
	return known
}
