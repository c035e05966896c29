package postgres

import (
	"slices"

	"sync"
	"unicode"
)

// fold returns what brings a text to the form that filter.Fold gives it, as far as a comparison with
// texts of that form can tell. Of the letters beyond ASCII only those are brought to lower case that
// become a letter of these texts. The tables are Go's own: those of the database depend on its
// version, its locale and its collations.
func (w *sqlFilter) fold(texts []string) func(t string) string {
	upper := uppers()
	letters := map[rune]bool{}
	for _, s := range texts {
		for _, r := range s {
			if upper[r] != nil {
				letters[r] = true
			}
		}
	}
	var from, to []rune
	for r := range letters {
		for _, u := range upper[r] {
			from, to = append(from, u), append(to, r)
		}
	}
	translate := func(t string) string { return t }
	if len(from) > 0 {
		slices.Sort(from)
		for i, u := range from {
			to[i] = unicode.ToLower(u)
		}
		f, t := w.args.add(string(from)), w.args.add(string(to))
		translate = func(text string) string { return "translate(" + text + ", " + f + ", " + t + ")" }
	}
	return func(t string) string { return `lower(` + translate(t) + ` collate "C")` } // of ASCII only
}

// uppers lists, for each letter, the letters beyond ASCII whose lower case it is.
var uppers = sync.OnceValue(func() map[rune][]rune {
	all := map[rune][]rune{}
	for _, table := range unicode.CaseRanges {
		for r := rune(table.Lo); r <= rune(table.Hi); r++ {
			if lower := unicode.ToLower(r); lower != r && r > unicode.MaxASCII {
				all[lower] = append(all[lower], r)
			}
		}
	}
	return all
})
