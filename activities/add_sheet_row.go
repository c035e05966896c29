package activities

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"rollcall/connect"
	"rollcall/connect/sheets"
)

// AddSheetRow appends one row to a Google Sheet.
type AddSheetRow struct{ sheets *sheets.Client }

// AddSheetRowParams is the "with" of an add_sheet_row step.
type AddSheetRowParams struct {
	Spreadsheet string            `json:"spreadsheet" doc:"The id of the spreadsheet, as in its address."`
	Sheet       string            `json:"sheet,omitempty" doc:"The name of the sheet; the first one if left out."`
	Values      map[string]string `json:"values" doc:"What goes under which column title. Written as it is, never as a formula."`
}

// Kind names the action.
func (AddSheetRowParams) Kind() string { return "add_sheet_row" }

// About describes the action.
func (AddSheetRowParams) About() (title, description string) {
	return "Add a row to a Google Sheet", "Appends a row below the table of a sheet, by its column titles."
}

// FirstTry is long: a row that is cut short may appear twice.
func (AddSheetRowParams) FirstTry() time.Duration { return 10 * time.Second }

// Check wants a spreadsheet and values.
func (p AddSheetRowParams) Check(c *Checking) {
	c.Require("spreadsheet", p.Spreadsheet)
	if len(p.Values) == 0 {
		c.Add("/values", "required", "values is required")
	}
}

// Do appends the row.
func (a *AddSheetRow) Do(ctx context.Context, c Call[AddSheetRowParams]) (Output, error) {
	if a.sheets == nil {
		return Output{}, connect.Permanent(errors.New("google sheets is not configured"))
	}
	row := make([]sheets.Column, 0, len(c.Params.Values))
	for _, name := range slices.Sorted(maps.Keys(c.Params.Values)) {
		row = append(row, sheets.Column{Name: name, Value: c.Params.Values[name]})
	}
	cells, err := a.sheets.AppendRow(ctx, c.Params.Spreadsheet, c.Params.Sheet, row)
	if err != nil {
		return Output{}, err
	}
	return Output{What: "added " + cells, Values: map[string]any{"range": cells}}, nil
}
