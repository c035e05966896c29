package activities

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rollcall/automation"
	"rollcall/connect/sheets"
)

// UpdateSheetRow changes one row of a Google Sheet. Done again, it changes nothing more.
type UpdateSheetRow struct{ *Deps }

// UpdateSheetRowParams is the "with" of an update_sheet_row step.
type UpdateSheetRowParams struct {
	Spreadsheet string            `json:"spreadsheet" doc:"The id of the spreadsheet, as in its address."`
	Sheet       string            `json:"sheet,omitempty" doc:"The name of the sheet; the first one if left out."`
	Lookup      SheetLookup       `json:"lookup" doc:"Which row: the one whose cell under the title \"column\" shows exactly the text \"value\". Several such rows are an error."`
	Values      map[string]string `json:"values" doc:"What goes under which column title; other cells stay as they are. Written as it is, never as a formula. The column of the lookup cannot be among them."`
	IfMissing   string            `json:"if_missing,omitempty" enum:"fail,add,skip" doc:"What to do where there is no such row: fail (if left out), add one with the lookup's value, or skip."`

	Connection string `json:"connection,omitempty" doc:"The connection that is used; if left out, that of the configuration, or the oldest such connection."`
}

// SheetLookup finds a row by the text of a cell.
type SheetLookup struct {
	Column string `json:"column"`
	Value  string `json:"value"`
}

// Schema describes the lookup in place.
func (SheetLookup) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeObject, Required: []string{"column", "value"}, AdditionalProperties: false,
		Properties: map[string]*huma.Schema{
			"column": {Type: huma.TypeString, Description: "The title of the column."},
			"value":  {Type: huma.TypeString, Description: "The whole text of the cell, as the sheet shows it."},
		},
	}
}

// What is done where there is no row to update.
const (
	missingFail = "fail"
	missingAdd  = "add"
	missingSkip = "skip"
)

// Kind names the action.
func (UpdateSheetRowParams) Kind() string { return "update_sheet_row" }

// About describes the action.
func (UpdateSheetRowParams) About() (title, description string) {
	return "Update a row of a Google Sheet", "Finds a row by the text of one cell and writes others of its cells."
}

// ConnectionKind is that of the connections that a step may name.
func (UpdateSheetRowParams) ConnectionKind() string { return automation.GoogleConnection }

// FirstTry is long: three requests are made, and a row that is added may appear twice.
func (UpdateSheetRowParams) FirstTry() time.Duration { return 10 * time.Second }

// Gives says what later steps can use.
func (UpdateSheetRowParams) Gives() map[string]string {
	return map[string]string{
		"found": "Whether there was such a row.",
		"range": "The cells that were written; none where nothing was.",
		"row":   "The number of the row that was written; none where nothing was.",
	}
}

// Check wants to know which row, and values that do not lose it.
func (p UpdateSheetRowParams) Check(c *Checking) {
	c.Connection(p.Connection)
	c.Require("spreadsheet", p.Spreadsheet)
	c.Require("lookup/column", p.Lookup.Column)
	c.Require("lookup/value", p.Lookup.Value)
	if len(p.Values) == 0 {
		c.Add("/values", "required", "values is required")
	}
	if _, both := p.Values[p.Lookup.Column]; both && p.Lookup.Column != "" {
		c.Add("/values", "invalid-value", "the column that a row is found by cannot be among the values")
	}
	if !slices.Contains([]string{"", missingFail, missingAdd, missingSkip}, p.IfMissing) && c.Settled(p.IfMissing) {
		c.Add("/if_missing", "invalid-value", "if_missing must be fail, add or skip")
	}
}

// Do updates the row. One that it added is found and updated when it is done again.
func (a *UpdateSheetRow) Do(ctx context.Context, c Call[UpdateSheetRowParams]) (Output, error) {
	client, err := a.sheets(ctx, c.Params.Connection)
	if err != nil {
		return Output{}, err
	}
	p := c.Params
	key := sheets.Column{Name: p.Lookup.Column, Value: p.Lookup.Value}
	updated, err := client.UpdateRow(ctx, p.Spreadsheet, p.Sheet, key, columnsOf(p.Values))
	switch {
	case err == nil:
		return Output{
			What: "updated " + updated.Range, Values: map[string]any{"found": true, "range": updated.Range, "row": updated.Row},
		}, nil
	case errors.Is(err, sheets.ErrNoRow) && p.IfMissing == missingAdd:
		return addRow(ctx, client, p, key)
	case errors.Is(err, sheets.ErrNoRow) && p.IfMissing == missingSkip:
		return Output{What: "found no row to update", Values: map[string]any{"found": false}}, nil
	}
	return Output{}, err
}

func addRow(ctx context.Context, client *sheets.Client, p UpdateSheetRowParams, key sheets.Column) (Output, error) {
	cells, err := client.AppendRow(ctx, p.Spreadsheet, p.Sheet, append([]sheets.Column{key}, columnsOf(p.Values)...))
	if err != nil {
		return Output{}, err
	}
	values := map[string]any{"found": false, "range": cells}
	if row, ok := rowOf(cells); ok {
		values["row"] = row
	}
	return Output{What: "found no row to update, added " + cells, Values: values}, nil
}

// columnsOf are the values of a row, sorted by the titles of their columns.
func columnsOf(values map[string]string) []sheets.Column {
	row := make([]sheets.Column, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		row = append(row, sheets.Column{Name: name, Value: values[name]})
	}
	return row
}

// rowOf reads the number of the row at the end of a range: 7 of Team!A7:C7.
func rowOf(cells string) (int, bool) {
	digits := len(cells)
	for digits > 0 && cells[digits-1] >= '0' && cells[digits-1] <= '9' {
		digits--
	}
	row, err := strconv.Atoi(cells[digits:])
	return row, err == nil
}
