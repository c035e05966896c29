package world

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// readValues answers the cells of a range, without the empty ones at the ends.
func (w *World) readValues(rw http.ResponseWriter, r *http.Request) {
	area, ok := rangeOf(rw, r.PathValue("range"))
	if !ok {
		return
	}
	answer := map[string]any{"range": area.String(), "majorDimension": "ROWS"}
	if values := w.books.read(r.PathValue("id"), area); len(values) > 0 {
		answer["values"] = values
	}
	answerJSON(rw, http.StatusOK, answer)
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

// byColumn names the cells of a row by the header, or by their letters where it has no name.
func byColumn(header, row []string) map[string]string {
	values := make(map[string]string, len(row))
	for i, value := range row {
		name := letters(i + 1)
		if i < len(header) && header[i] != "" {
			name = header[i]
		}
		if value != "" || i < len(header) {
			values[name] = value
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

// valuesOf reads the rows of a request. The world takes RAW values only, as anything else would
// turn text into formulas.
func valuesOf(rw http.ResponseWriter, r *http.Request) ([][]string, bool) {
	if option := r.URL.Query().Get("valueInputOption"); option != "RAW" {
		answerGoogle(rw, http.StatusBadRequest, "INVALID_ARGUMENT",
			"'valueInputOption' is required but not specified, or the world does not take it: "+option)
		return nil, false
	}
	var body struct {
		Values [][]any `json:"values"`
	}
	decoder := json.NewDecoder(r.Body)
	decoder.UseNumber()
	if err := decoder.Decode(&body); err != nil || len(body.Values) == 0 {
		answerGoogle(rw, http.StatusBadRequest, "INVALID_ARGUMENT", "Invalid JSON payload received.")
		return nil, false
	}
	rows := make([][]string, len(body.Values))
	for i, row := range body.Values {
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
