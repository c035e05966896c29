package sheets

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/api/sheets/v4"

	"rollcall/connect"
)

// ErrNoRow is in the chain of UpdateRow's error where no row has the value that is looked for.
var ErrNoRow = errors.New("no row of the sheet has the value that is looked for")

// Updated is a row that UpdateRow has written.
type Updated struct {
	// Range spans the cells that were written, such as "Team!B7:D7".
	Range string
	// Row counts from 1, the row of the column names.
	Row int
}

// UpdateRow writes the values into the one row whose cell in the column of the key shows exactly
// the text of the key, and leaves all other cells as they are. Done again, it changes nothing more.
// An empty sheet name means the first sheet. It reads the column and then writes: a row that
// somebody moves in between is missed.
//
// Where no such row is there, the permanent error is ErrNoRow. Several such rows are a permanent
// error that says how many; nothing is written. Everything else is as with AppendRow.
func (c *Client) UpdateRow(ctx context.Context, spreadsheet, sheet string, key Column, row []Column) (Updated, error) {
	if err := checkUpdate(spreadsheet, key, row); err != nil {
		return Updated{}, fmt.Errorf("update row: %w", err)
	}
	header, err := c.header(ctx, spreadsheet, sheet)
	if err != nil {
		return Updated{}, fmt.Errorf("read columns of sheet: %w", judge(err))
	}
	if len(header) == 0 {
		return Updated{}, connect.Permanent(ErrNoRow)
	}
	if _, err := arrange(header, append(slices.Clone(row), key)); err != nil {
		return Updated{}, fmt.Errorf("update row: %w", err)
	}
	at, err := c.find(ctx, spreadsheet, sheet, slices.Index(header, strings.TrimSpace(key.Name)), key)
	if err != nil {
		return Updated{}, err
	}
	return c.write(ctx, spreadsheet, sheet, at, header, row)
}

func checkUpdate(spreadsheet string, key Column, row []Column) error {
	if err := check(spreadsheet, row); err != nil {
		return err
	}
	if slices.Contains(names(row), strings.TrimSpace(key.Name)) {
		return invalid("the column that a row is found by cannot be written")
	}
	if strings.TrimSpace(key.Name) == "" || key.Value == "" {
		return invalid("row is to be found by nothing")
	}
	return nil
}

// find returns the number of the one row that shows the key in a column.
func (c *Client) find(ctx context.Context, spreadsheet, sheet string, column int, key Column) (int, error) {
	name := letters(column)
	answer, err := c.values.Get(spreadsheet, reference(sheet, name+":"+name)).
		MajorDimension("COLUMNS").Fields("values").Context(ctx).Do()
	if err != nil {
		return 0, fmt.Errorf("look for row: %w", judge(err))
	}
	found, at := 0, 0
	for _, cells := range answer.Values {
		for i, cell := range cells {
			if i > 0 && fmt.Sprint(cell) == key.Value {
				found++
				at = i + 1
			}
		}
	}
	switch found {
	case 0:
		return 0, connect.Permanent(ErrNoRow)
	case 1:
		return at, nil
	}
	// The value itself may be somebody's.
	return 0, fmt.Errorf("update row: %w", invalid("%d rows have the value that is looked for in column %q; there must be one", found, key.Name))
}

// write puts the values into the cells of a row, each on its own, as others lie between them.
func (c *Client) write(ctx context.Context, spreadsheet, sheet string, at int, header []string, row []Column) (Updated, error) {
	number := strconv.Itoa(at)
	request := &sheets.BatchUpdateValuesRequest{ValueInputOption: "RAW"}
	first, last := len(header), 0
	for i, name := range names(row) {
		column := slices.Index(header, name)
		first, last = min(first, column), max(last, column)
		request.Data = append(request.Data, &sheets.ValueRange{
			Range: reference(sheet, letters(column)+number), Values: [][]any{{row[i].Value}},
		})
	}
	answer, err := c.values.BatchUpdate(spreadsheet, request).Context(ctx).Do()
	if err != nil {
		return Updated{}, fmt.Errorf("update row: %w", judge(err))
	}
	span := letters(first) + number
	if last > first {
		span += ":" + letters(last) + number
	}
	if len(answer.Responses) > 0 { // which names the sheet
		if i := strings.LastIndex(answer.Responses[0].UpdatedRange, "!"); i >= 0 {
			span = answer.Responses[0].UpdatedRange[:i+1] + span
		}
	}
	return Updated{Range: span, Row: at}, nil
}
