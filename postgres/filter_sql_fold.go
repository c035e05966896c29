package postgres

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// fold returns what brings a text to the form that filter.Fold gives it, as far as a comparison with
// texts of that form can tell. Of the letters beyond ASCII only those are brought to lower case that
// become a letter of these texts. The tables are Go's own: those of the database depend on its
// version, its locale and its collations.
func (w *sqlFilter) fold(texts []string) func(t string) string {
	var letters []rune
	for _, s := range texts {
		for _, r := range s {
			letters = append(letters, uppers()[r]...)
		}
	}
	const ascii = `lower(%s collate "C")`
	if len(letters) == 0 {
		return func(t string) string { return fmt.Sprintf(ascii, t) }
	}
	slices.Sort(letters)
	letters = slices.Compact(letters)
	from, to := w.args.add(string(letters)), w.args.add(strings.Map(unicode.ToLower, string(letters)))
	return func(t string) string { return fmt.Sprintf(ascii, "translate("+t+", "+from+", "+to+")") }
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
