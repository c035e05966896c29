package sheets

import (
	"fmt"
	"slices"
	"strings"

	"rollcall/connect"
)

// check reports what is wrong with a row before anything is asked of Google.
func check(spreadsheet string, row []Column) error {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}
	if spreadsheet == "" || len(spreadsheet) > 128 || strings.ContainsFunc(spreadsheet, odd) {
		return invalid("spreadsheet id is not valid")
	}
	if len(row) == 0 {
		return invalid("row has no values")
	}
	seen := map[string]bool{}
	for _, name := range names(row) {
		if name == "" {
			return invalid("row has a column without a name")
		}
		if seen[name] {
			return invalid("row has column %q twice", name)
		}
		seen[name] = true
	}
	return nil
}

func names(row []Column) []string {
	all := make([]string, len(row))
	for i, c := range row {
		all[i] = strings.TrimSpace(c.Name)
	}
	return all
}

// arrange puts the values below the columns of the header. Cells left nil stay as they are.
func arrange(header []string, row []Column) ([]any, error) {
	cells := make([]any, len(header))
	var missing []string
	for i, name := range names(row) {
		at := slices.Index(header, name)
		if at < 0 {
			missing = append(missing, fmt.Sprintf("%q", name))
			continue
		}
		cells[at] = row[i].Value
	}
	if len(missing) > 0 {
		existing := slices.DeleteFunc(slices.Clone(header), func(s string) bool { return s == "" })
		if len(existing) > 50 {
			existing = append(existing[:50], "…")
		}
		return nil, invalid("sheet has no column %s; it has %s",
			strings.Join(missing, ", "), strings.Join(existing, ", "))
	}
	return cells, nil
}

// letters spells a column, counted from 0: A, Z, AA.
func letters(column int) string {
	var text string
	for column++; column > 0; column = (column - 1) / 26 {
		text = string(rune('A'+(column-1)%26)) + text
	}
	return text
}

// reference spells cells of a sheet in A1 notation.
func reference(sheet, cells string) string {
	if sheet == "" {
		return cells
	}
	return "'" + strings.ReplaceAll(sheet, "'", "''") + "'!" + cells
}

func invalid(format string, args ...any) error {
	return connect.Refuse(connect.Invalid, fmt.Sprintf(format, args...))
}
