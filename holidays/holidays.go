// Package holidays knows the public holidays of countries.
//
// Floor 1: it computes them with github.com/rickar/cal, and adds what laws have changed since. The
// domain knows the names of the countries only, automation.HolidayCountries.
package holidays

import (
	"sync"
	"time"

	"github.com/rickar/cal/v2"
	"github.com/rickar/cal/v2/ar"
	"github.com/rickar/cal/v2/at"
	"github.com/rickar/cal/v2/au"
	"github.com/rickar/cal/v2/be"
	"github.com/rickar/cal/v2/bg"
	"github.com/rickar/cal/v2/br"
	"github.com/rickar/cal/v2/ca"
	"github.com/rickar/cal/v2/ch"
	"github.com/rickar/cal/v2/cz"
	"github.com/rickar/cal/v2/de"
	"github.com/rickar/cal/v2/dk"
	"github.com/rickar/cal/v2/es"
	"github.com/rickar/cal/v2/fr"
	"github.com/rickar/cal/v2/gb"
	"github.com/rickar/cal/v2/gr"
	"github.com/rickar/cal/v2/hr"
	"github.com/rickar/cal/v2/ie"
	"github.com/rickar/cal/v2/it"
	"github.com/rickar/cal/v2/jp"
	"github.com/rickar/cal/v2/lt"
	"github.com/rickar/cal/v2/lv"
	"github.com/rickar/cal/v2/mw"
	"github.com/rickar/cal/v2/nc"
	"github.com/rickar/cal/v2/nl"
	"github.com/rickar/cal/v2/no"
	"github.com/rickar/cal/v2/nz"
	"github.com/rickar/cal/v2/pl"
	"github.com/rickar/cal/v2/ro"
	"github.com/rickar/cal/v2/ru"
	"github.com/rickar/cal/v2/se"
	"github.com/rickar/cal/v2/si"
	"github.com/rickar/cal/v2/sk"
	"github.com/rickar/cal/v2/ua"
	"github.com/rickar/cal/v2/us"
	"github.com/rickar/cal/v2/za"
)

// countries are the calendars by ISO 3166 code.
var countries = map[string]*calendar{
	"AR": national(ar.Holidays),
	"AT": national(at.Holidays),
	"AU": regional(au.HolidaysACT, au.HolidaysNSW, au.HolidaysNT, au.HolidaysQLD, au.HolidaysSA, au.HolidaysTAS, au.HolidaysVIC, au.HolidaysWA),
	"BE": national(be.Holidays),
	"BG": national(bg.Holidays),
	"BR": national(br.Holidays, yearly(time.November, 20, 2024)), // Consciência Negra
	"CA": national(ca.Holidays),
	"CH": regional(
		ch.HolidaysZH, ch.HolidaysBE, ch.HolidaysLU, ch.HolidaysUR, ch.HolidaysSZ, ch.HolidaysOW, ch.HolidaysNW, ch.HolidaysGL, ch.HolidaysZG,
		ch.HolidaysFR, ch.HolidaysSO, ch.HolidaysBS, ch.HolidaysBL, ch.HolidaysSH, ch.HolidaysAR, ch.HolidaysAI, ch.HolidaysSG, ch.HolidaysGR,
		ch.HolidaysAG, ch.HolidaysTG, ch.HolidaysTI, ch.HolidaysVD, ch.HolidaysVS, ch.HolidaysNE, ch.HolidaysGE, ch.HolidaysJU,
	),
	"CZ": national(cz.Holidays),
	"DE": national(de.Holidays),
	"DK": national(dk.Holidays),
	"ES": national(es.Holidays),
	"FR": national(fr.Holidays),
	"GB": national(gb.Holidays),
	"GR": national(gr.Holidays),
	"HR": national(hr.Holidays),
	"IE": national(ie.Holidays),
	"IT": national(it.Holidays, yearly(time.October, 4, 2026)), // San Francesco
	"JP": national(jp.Holidays),
	"LT": national(lt.Holidays),
	"LV": national(lv.Holidays),
	"MW": national(mw.Holidays),
	"NC": national(nc.Holidays),
	"NL": national(nl.Holidays),
	"NO": national(no.Holidays),
	"NZ": national(nz.Holidays, matariki),
	"PL": national(pl.Holidays, yearly(time.December, 24, 2025)), // Wigilia
	"RO": national(ro.Holidays, yearly(time.January, 6, 2024), yearly(time.January, 7, 2024)),
	"RU": national(
		ru.Holidays, yearly(time.January, 2, 2013), yearly(time.January, 3, 2013), yearly(time.January, 4, 2013),
		yearly(time.January, 5, 2013), yearly(time.January, 6, 2013), yearly(time.January, 8, 2013),
	),
	"SE": national(se.Holidays),
	"SI": national(si.Holidays),
	"SK": national(sk.Holidays),
	"UA": national(ua.Holidays),
	"US": national(us.Holidays),
	"ZA": national(za.Holidays),
}

// Of tells the public holidays of a country, whose code is in automation.HolidayCountries; false where
// it is not. A date is one when it is the holiday itself or the day off that is given for it, such as
// the Monday after. Where holidays are a matter of regions, it is one in more than half of them. What
// it returns is safe for concurrent use.
func Of(country string) (func(day time.Time) bool, bool) {
	c, known := countries[country]
	if !known {
		return nil, false
	}
	return c.holiday, true
}

// calendar is that of a country.
type calendar struct {
	regions [][]*cal.Holiday
	years   sync.Map // of int to *[367]bool: by the day of the year
}

func national(holidays []*cal.Holiday, more ...*cal.Holiday) *calendar {
	return regional(append(holidays[:len(holidays):len(holidays)], more...))
}

func regional(regions ...[]*cal.Holiday) *calendar { return &calendar{regions: regions} }

func (c *calendar) holiday(day time.Time) bool {
	days, known := c.years.Load(day.Year())
	if !known {
		days, _ = c.years.LoadOrStore(day.Year(), c.year(day.Year()))
	}
	return days.(*[367]bool)[day.YearDay()]
}

// inUTC makes the library compute in UTC, where every day begins at midnight.
var inUTC = sync.OnceFunc(func() { cal.DefaultLoc = time.UTC })

// year computes one year. A day off can lie in the year before its holiday, or after.
func (c *calendar) year(year int) *[367]bool {
	inUTC()
	var regions [367]int
	for _, holidays := range c.regions {
		var off [367]bool
		for _, h := range holidays {
			for _, of := range []int{year - 1, year, year + 1} {
				actual, observed := h.Calc(of)
				for _, day := range []time.Time{actual, observed} {
					if !day.IsZero() && day.Year() == year {
						off[day.YearDay()] = true
					}
				}
			}
		}
		for day := range off {
			if off[day] {
				regions[day]++
			}
		}
	}
	var days [367]bool
	for day := range days {
		days[day] = 2*regions[day] > len(c.regions)
	}
	return &days
}

// yearly is a holiday that the library does not have, since some year.
func yearly(month time.Month, day, since int) *cal.Holiday {
	return &cal.Holiday{Month: month, Day: day, StartYear: since, Func: cal.CalcDayOfMonth}
}

// matariki is a holiday of New Zealand, whose dates are in a law.
var matariki = &cal.Holiday{StartYear: 2022, EndYear: 2040, Func: func(_ *cal.Holiday, year int) time.Time {
	in := map[int]struct {
		month time.Month
		day   int
	}{
		2022: {time.June, 24}, 2023: {time.July, 14}, 2024: {time.June, 28}, 2025: {time.June, 20}, 2026: {time.July, 10},
		2027: {time.June, 25}, 2028: {time.July, 14}, 2029: {time.July, 6}, 2030: {time.June, 21}, 2031: {time.July, 11},
		2032: {time.July, 2}, 2033: {time.June, 24}, 2034: {time.July, 7}, 2035: {time.June, 29}, 2036: {time.July, 18},
		2037: {time.July, 10}, 2038: {time.June, 25}, 2039: {time.July, 15}, 2040: {time.July, 6},
	}[year]
	return time.Date(year, in.month, in.day, 0, 0, 0, 0, time.UTC)
}}
