package activities

import (
	"context"
	"time"

	"rollcall/automation"
)

// AddSheetRow appends one row to a Google Sheet.
type AddSheetRow struct{ *Deps }

// AddSheetRowParams is the "with" of an add_sheet_row step.
type AddSheetRowParams struct {
	Spreadsheet string            `json:"spreadsheet" doc:"The id of the spreadsheet, as in its address."`
	Sheet       string            `json:"sheet,omitempty" doc:"The name of the sheet; the first one if left out."`
	Values      map[string]string `json:"values" doc:"What goes under which column title. Written as it is, never as a formula."`

	Connection string `json:"connection,omitempty" doc:"The connection that is used; if left out, that of the configuration, or the oldest such connection."`
}

// Kind names the action.
func (AddSheetRowParams) Kind() string { return "add_sheet_row" }

// About describes the action.
func (AddSheetRowParams) About() (title, description string) {
	return "Add a row to a Google Sheet", "Appends a row below the table of a sheet, by its column titles."
}

// ConnectionKind is that of the connections that a step may name.
func (AddSheetRowParams) ConnectionKind() string { return automation.GoogleConnection }

// FirstTry is long: a row that is cut short may appear twice.
func (AddSheetRowParams) FirstTry() time.Duration { return 10 * time.Second }

// Gives says what later steps can use.
func (AddSheetRowParams) Gives() map[string]string {
	return map[string]string{"range": "Where the row was written, such as Team!A7:C7."}
}

// Check wants a spreadsheet and values.
func (p AddSheetRowParams) Check(c *Checking) {
	c.Connection(p.Connection)
	c.Require("spreadsheet", p.Spreadsheet)
	if len(p.Values) == 0 {
		c.Add("/values", "required", "values is required")
	}
}

// Do appends the row.
func (a *AddSheetRow) Do(ctx context.Context, c Call[AddSheetRowParams]) (Output, error) {
	client, err := a.sheets(ctx, c.Params.Connection)
	if err != nil {
		return Output{}, err
	}
	cells, err := client.AppendRow(ctx, c.Params.Spreadsheet, c.Params.Sheet, columnsOf(c.Params.Values))
	if err != nil {
		return Output{}, err
	}
	return Output{What: "added " + cells, Values: map[string]any{"range": cells}}, nil
}
