package world

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// readValues answers the cells of a range, without the empty ones at the ends.
func (w *World) readValues(rw http.ResponseWriter, r *http.Request) {
	area, ok := rangeOf(rw, r.PathValue("range"))
	if !ok {
		return
	}
	answer := map[string]any{"range": area.String(), "majorDimension": "ROWS"}
	values := w.books.read(r.PathValue("id"), area)
	if r.URL.Query().Get("majorDimension") == "COLUMNS" {
		answer["majorDimension"] = "COLUMNS"
		values = turned(values)
	}
	if len(values) > 0 {
		answer["values"] = values
	}
	answerJSON(rw, http.StatusOK, answer)
}

// turned makes the columns of rows, without the empty cells at their ends.
func turned(rows [][]string) [][]string {
	var columns [][]string
	for n, row := range rows {
		for i, text := range row {
			if i == len(columns) {
				columns = append(columns, make([]string, len(rows)))
			}
			columns[i][n] = text
		}
	}
	for i := range columns {
		columns[i] = trim(columns[i])
	}
	return columns
}

// writeValues overwrites cells.
func (w *World) writeValues(rw http.ResponseWriter, r *http.Request) {
	area, ok := rangeOf(rw, r.PathValue("range"))
	if !ok {
		return
	}
	rows, ok := valuesOf(rw, r)
	if !ok {
		return
	}
	updated := w.books.write(r.PathValue("id"), area, rows)
	answerJSON(rw, http.StatusOK, updates(r.PathValue("id"), updated, rows))
}

// appendValues adds rows below the sheet's last one, each an item of the outbox.
func (w *World) appendValues(rw http.ResponseWriter, r *http.Request) {
	name, found := strings.CutSuffix(r.PathValue("range"), ":append")
	if !found {
		answerGoogle(rw, http.StatusNotFound, "NOT_FOUND", "Requested entity was not found.")
		return
	}
	area, ok := rangeOf(rw, name)
	if !ok {
		return
	}
	rows, ok := valuesOf(rw, r)
	if !ok {
		return
	}
	id := r.PathValue("id")
	var first, last cells
	for i, row := range rows {
		header, at := w.books.append(id, area.sheet, row)
		if last = at; i == 0 {
			first = at
		}
		w.outbox.add(Item{
			Kind: KindSheetRow, Spreadsheet: id, Sheet: area.sheet, Range: at.String(),
			Columns: header, Values: byColumn(header, row),
		})
	}
	first.row2 = last.row2
	answerJSON(rw, http.StatusOK, map[string]any{"spreadsheetId": id, "updates": updates(id, first, rows)})
}

// updateRows overwrites single cells. Each row that is concerned is an item of the outbox, as a
// whole.
func (w *World) updateRows(rw http.ResponseWriter, r *http.Request) {
	var body struct {
		ValueInputOption string
		Data             []struct {
			Range  string
			Values [][]any
		}
	}
	if !decodeGoogle(rw, r, &body) || !raw(rw, body.ValueInputOption) {
		return
	}
	areas, values := make([]cells, len(body.Data)), make([][][]string, len(body.Data))
	for i, d := range body.Data { // all are good, or nothing is written
		var ok bool
		if areas[i], ok = rangeOf(rw, d.Range); !ok {
			return
		}
		if values[i], ok = textsOf(rw, d.Values); !ok {
			return
		}
	}
	id, answers := r.PathValue("id"), make([]map[string]any, len(areas))
	touched := map[cells][]int{} // columns by row
	var rows []cells
	for i, area := range areas {
		at := w.books.write(id, area, values[i])
		answers[i] = updates(id, at, values[i])
		for n := range values[i] {
			row := cells{sheet: at.sheet, row1: at.row1 + n}
			if touched[row] == nil {
				rows = append(rows, row)
			}
			for column := range values[i][n] {
				touched[row] = append(touched[row], at.col1+column)
			}
		}
	}
	for _, row := range rows {
		header, texts := w.books.row(id, row.sheet, row.row1)
		item := Item{
			Kind: KindSheetRow, Spreadsheet: id, Sheet: row.sheet, Columns: header, Values: byColumn(header, texts),
			Range: cells{sheet: row.sheet, row1: row.row1, col1: 1, row2: row.row1, col2: max(len(texts), 1)}.String(),
		}
		slices.Sort(touched[row])
		for _, column := range slices.Compact(touched[row]) {
			item.Updated = append(item.Updated, titleOf(header, column))
		}
		w.outbox.add(item)
	}
	answerJSON(rw, http.StatusOK, map[string]any{"spreadsheetId": id, "responses": answers})
}

// titleOf names a column, counted from 1, by the header, or by its letters where it has no name.
func titleOf(header []string, column int) string {
	if column <= len(header) && header[column-1] != "" {
		return header[column-1]
	}
	return letters(column)
}

// byColumn names the cells of a row by the header, or by their letters where it has no name.
func byColumn(header, row []string) map[string]string {
	values := make(map[string]string, len(row))
	for i, value := range row {
		if value != "" || i < len(header) {
			values[titleOf(header, i+1)] = value
		}
	}
	return values
}

func updates(id string, at cells, rows [][]string) map[string]any {
	width, count := 0, 0
	for _, row := range rows {
		width = max(width, len(row))
		count += len(row)
	}
	return map[string]any{
		"spreadsheetId": id, "updatedRange": at.String(), "updatedRows": len(rows),
		"updatedColumns": width, "updatedCells": count,
	}
}

func rangeOf(rw http.ResponseWriter, text string) (cells, bool) {
	area, err := parseCells(text)
	if err != nil {
		answerGoogle(rw, http.StatusBadRequest, "INVALID_ARGUMENT", "Unable to parse range: "+text)
		return cells{}, false
	}
	return area, true
}

// valuesOf reads the rows of a request.
func valuesOf(rw http.ResponseWriter, r *http.Request) ([][]string, bool) {
	var body struct{ Values [][]any }
	if !raw(rw, r.URL.Query().Get("valueInputOption")) || !decodeGoogle(rw, r, &body) {
		return nil, false
	}
	return textsOf(rw, body.Values)
}

// raw reports whether values are to be taken as they are. The world takes nothing else, as it
// would turn text into formulas.
func raw(rw http.ResponseWriter, option string) bool {
	if option != "RAW" {
		answerGoogle(rw, http.StatusBadRequest, "INVALID_ARGUMENT",
			"'valueInputOption' is required but not specified, or the world does not take it: "+option)
	}
	return option == "RAW"
}

func decodeGoogle(rw http.ResponseWriter, r *http.Request, into any) bool {
	decoder := json.NewDecoder(r.Body)
	decoder.UseNumber()
	err := decoder.Decode(into)
	if err != nil {
		answerGoogle(rw, http.StatusBadRequest, "INVALID_ARGUMENT", "Invalid JSON payload received.")
	}
	return err == nil
}

// textsOf are the cells of rows as texts.
func textsOf(rw http.ResponseWriter, values [][]any) ([][]string, bool) {
	if len(values) == 0 {
		answerGoogle(rw, http.StatusBadRequest, "INVALID_ARGUMENT", "Invalid JSON payload received.")
		return nil, false
	}
	rows := make([][]string, len(values))
	for i, row := range values {
		for _, cell := range row {
			text := ""
			if cell != nil {
				text = fmt.Sprint(cell)
			}
			if len([]rune(text)) > 50_000 {
				answerGoogle(rw, http.StatusBadRequest, "INVALID_ARGUMENT",
					"Your input contains more than the maximum of 50000 characters in a single cell.")
				return nil, false
			}
			rows[i] = append(rows[i], text)
		}
	}
	return rows, true
}

// trim drops the empty cells at the end of a row.
func trim(row []string) []string {
	end := len(row)
	for end > 0 && row[end-1] == "" {
		end--
	}
	return append([]string{}, row[:end]...)
}
