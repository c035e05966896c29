package world

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// books are the spreadsheets. Any id and any sheet exists as soon as it is used.
type books struct {
	mu     sync.Mutex
	sheets map[[2]string][][]string // by spreadsheet and sheet
}

func newBooks() *books { return &books{sheets: map[[2]string][][]string{}} }

// restore puts back the rows that the outbox remembers, below their columns.
func (b *books) restore(items []Item) {
	for _, item := range items {
		if item.Kind != KindSheetRow {
			continue
		}
		area, err := parseCells(item.Range)
		if err != nil {
			continue
		}
		row := make([]string, len(item.Columns))
		for i, name := range item.Columns {
			row[i] = item.Values[name]
		}
		area.col1 = 1
		b.write(item.Spreadsheet, cells{sheet: area.sheet, row1: 1, col1: 1}, [][]string{item.Columns})
		b.write(item.Spreadsheet, area, [][]string{row})
	}
}

func (b *books) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.sheets)
}

func (b *books) read(id string, area cells) [][]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var values [][]string
	for n, row := range b.sheets[[2]string{id, area.sheet}] {
		if n+1 < area.row1 || (area.row2 > 0 && n+1 > area.row2) {
			continue
		}
		from, to := max(area.col1, 1)-1, len(row)
		if area.col2 > 0 {
			to = min(to, area.col2)
		}
		values = append(values, trim(row[min(from, to):to]))
	}
	for len(values) > 0 && len(values[len(values)-1]) == 0 {
		values = values[:len(values)-1]
	}
	return values
}

// write puts rows at the upper left corner of the area and returns where they are.
func (b *books) write(id string, area cells, rows [][]string) cells {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := [2]string{id, area.sheet}
	sheet := b.sheets[key]
	at := cells{sheet: area.sheet, row1: max(area.row1, 1), col1: max(area.col1, 1)}
	at.row2, at.col2 = at.row1+len(rows)-1, at.col1
	for i, row := range rows {
		for len(sheet) < at.row1+i {
			sheet = append(sheet, nil)
		}
		to := &sheet[at.row1+i-1]
		for len(*to) < at.col1-1+len(row) {
			*to = append(*to, "")
		}
		copy((*to)[at.col1-1:], row)
		at.col2 = max(at.col2, at.col1+len(row)-1)
	}
	b.sheets[key] = sheet
	return at
}

// append adds a row below the last one, and returns the sheet's first row and where the new one
// is.
func (b *books) append(id, name string, row []string) (header []string, at cells) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := [2]string{id, name}
	sheet := append(b.sheets[key], slices.Clone(row))
	b.sheets[key] = sheet
	if len(sheet) > 1 {
		header = trim(sheet[0])
	}
	return header, cells{sheet: name, row1: len(sheet), col1: 1, row2: len(sheet), col2: max(len(row), 1)}
}

// row returns the sheet's first row and another one, which is as wide at least.
func (b *books) row(id, name string, number int) (header, row []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	sheet := b.sheets[[2]string{id, name}]
	if len(sheet) > 0 {
		header = trim(sheet[0])
	}
	if number <= len(sheet) {
		row = slices.Clone(sheet[number-1])
	}
	for len(row) < len(header) {
		row = append(row, "")
	}
	return header, row
}

// cells are a range in A1 notation, counted from 1; 0 is open.
type cells struct {
	sheet                  string
	row1, col1, row2, col2 int
}

// firstSheet is where ranges without a sheet are.
const firstSheet = "Sheet1"

// String spells the range as Google does.
func (c cells) String() string {
	name := c.sheet
	if strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_'
	}) {
		name = "'" + strings.ReplaceAll(name, "'", "''") + "'"
	}
	from := letters(max(c.col1, 1)) + strconv.Itoa(max(c.row1, 1))
	col, row := c.col2, c.row2
	if col == 0 {
		col = 26
	}
	if row == 0 {
		row = 1000
	}
	if to := letters(col) + strconv.Itoa(row); to != from {
		return name + "!" + from + ":" + to
	}
	return name + "!" + from
}

// parseCells reads 'My sheet'!A1:C3, Team!1:1, A1 or the name of a sheet.
func parseCells(text string) (cells, error) {
	area := cells{sheet: firstSheet}
	rest := text
	if i := strings.LastIndex(text, "!"); i >= 0 {
		area.sheet, rest = text[:i], text[i+1:]
		if quoted, ok := strings.CutPrefix(area.sheet, "'"); ok && strings.HasSuffix(quoted, "'") {
			area.sheet = strings.ReplaceAll(strings.TrimSuffix(quoted, "'"), "''", "'")
		}
	}
	from, to, found := strings.Cut(rest, ":")
	if !found {
		to = from
	}
	var err1, err2 error
	area.row1, area.col1, err1 = parseCell(from)
	area.row2, area.col2, err2 = parseCell(to)
	if err := errors.Join(err1, err2); err != nil {
		if rest == text && !found && text != "" {
			return cells{sheet: strings.Trim(text, "'")}, nil
		}
		return cells{}, err
	}
	if area.sheet == "" {
		return cells{}, errors.New("range has no sheet")
	}
	return area, nil
}

// parseCell reads B7, B or 7.
func parseCell(text string) (row, col int, err error) {
	i := 0
	for i < len(text) && text[i]|0x20 >= 'a' && text[i]|0x20 <= 'z' && i < 3 {
		col = col*26 + int(text[i]|0x20-'a') + 1
		i++
	}
	if i < len(text) {
		if row, err = strconv.Atoi(text[i:]); err != nil || row < 1 || row > 10_000_000 {
			return 0, 0, fmt.Errorf("%q is not a cell", text)
		}
	}
	if text == "" {
		return 0, 0, errors.New("range has no cells")
	}
	return row, col, nil
}

// letters spells a column: 1 is A, 27 is AA.
func letters(col int) string {
	var s []byte
	for ; col > 0; col = (col - 1) / 26 {
		s = append(s, byte('A'+(col-1)%26))
	}
	slices.Reverse(s)
	return string(s)
}
