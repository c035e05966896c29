// Package sheets appends and updates rows of Google Sheets as a service account.
//
// It is responsible for one attempt: it maps column names to cells by the sheet's first row and
// writes values as they are, never as formulas. The API has no key against repetitions: a row
// whose answer is lost appears again when it is appended again. An update that is repeated
// changes nothing more.
//
// Floor 1: imports rollcall/connect.
package sheets

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	"google.golang.org/api/sheets/v4"

	"rollcall/connect"
)

// Config is one service account.
type Config struct {
	// Endpoint is where the API lives; empty means https://sheets.googleapis.com/.
	Endpoint string
	// CredentialsJSON is the key file of the service account. Its token_uri is where tokens come
	// from. Spreadsheets must be shared with its client_email.
	CredentialsJSON []byte
}

// Column is one value of a row.
type Column struct {
	// Name is what stands in the sheet's first row.
	Name string
	// Value is written as it is: "=1+2" stays text.
	Value string
}

// Client appends and updates rows. It is safe for concurrent use.
type Client struct {
	values *sheets.SpreadsheetsValuesService
	auth   *authorized
}

// New returns a Client whose requests, those for tokens included, go by the client, which is one
// of connect.NewHTTPClient. It does not connect. Its errors are permanent and never hold the
// credentials.
func New(ctx context.Context, c Config, client *http.Client) (*Client, error) {
	account, err := parseCredentials(c.CredentialsJSON)
	if err != nil {
		return nil, err
	}
	auth := newAuthorized(account, client.Transport)
	options := []option.ClientOption{option.WithHTTPClient(&http.Client{
		Transport:     auth,
		Timeout:       client.Timeout,
		CheckRedirect: client.CheckRedirect,
	})}
	if c.Endpoint != "" {
		options = append(options, option.WithEndpoint(strings.TrimSuffix(c.Endpoint, "/")+"/"))
	}
	service, err := sheets.NewService(ctx, options...)
	if err != nil {
		return nil, connect.Refuse(connect.Invalid, "sheets endpoint is not valid")
	}
	return &Client{values: service.Spreadsheets.Values, auth: auth}, nil
}

// AppendRow adds one row below the table that begins in the sheet's first cell and returns the
// range it was written to, such as "Team!A7:C7". Cells of columns that are not given stay empty.
// A sheet whose first row is empty gets the column names in the order given. An empty sheet name
// means the first sheet.
//
// A column that the first row does not have is a permanent error of class connect.Invalid, which
// names it and those that exist. 401 and 403 are permanent and of class connect.Auth; 429 and 5xx
// are transient with their Retry-After.
func (c *Client) AppendRow(ctx context.Context, spreadsheet, sheet string, row []Column) (string, error) {
	if err := check(spreadsheet, row); err != nil {
		return "", fmt.Errorf("append row: %w", err)
	}
	header, err := c.header(ctx, spreadsheet, sheet)
	if err != nil {
		return "", fmt.Errorf("read columns of sheet: %w", judge(err))
	}
	if len(header) == 0 {
		header = names(row)
		if err := c.writeHeader(ctx, spreadsheet, sheet, header); err != nil {
			return "", fmt.Errorf("write columns of sheet: %w", judge(err))
		}
	}
	cells, err := arrange(header, row)
	if err != nil {
		return "", fmt.Errorf("append row: %w", err)
	}
	answer, err := c.values.Append(spreadsheet, reference(sheet, "A1"), &sheets.ValueRange{Values: [][]any{cells}}).
		ValueInputOption("RAW").InsertDataOption("INSERT_ROWS").Context(ctx).Do()
	if err != nil {
		return "", fmt.Errorf("append row: %w", judge(err))
	}
	if answer.Updates == nil {
		return "", nil
	}
	return answer.Updates.UpdatedRange, nil
}

// header returns the cells of the first row, none if it is empty.
func (c *Client) header(ctx context.Context, spreadsheet, sheet string) ([]string, error) {
	answer, err := c.values.Get(spreadsheet, reference(sheet, "1:1")).Context(ctx).Do()
	if err != nil || len(answer.Values) == 0 {
		return nil, err
	}
	var header []string
	for _, cell := range answer.Values[0] {
		header = append(header, strings.TrimSpace(fmt.Sprint(cell)))
	}
	return header, nil
}

func (c *Client) writeHeader(ctx context.Context, spreadsheet, sheet string, header []string) error {
	cells := make([]any, len(header))
	for i, name := range header {
		cells[i] = name
	}
	_, err := c.values.Update(spreadsheet, reference(sheet, "A1"), &sheets.ValueRange{Values: [][]any{cells}}).
		ValueInputOption("RAW").Context(ctx).Do()
	return err
}

// judge turns the API's answers into judged errors.
func judge(err error) error {
	var answer *googleapi.Error
	if !errors.As(err, &answer) {
		return connect.Judge(err)
	}
	text := answer.Message
	if text == "" {
		text = answer.Body
	}
	e := connect.StatusError(answer.Code, answer.Header, connect.Redact(text))
	if answer.Code == http.StatusUnauthorized || answer.Code == http.StatusForbidden {
		e.Class = connect.Auth
	}
	return e
}
