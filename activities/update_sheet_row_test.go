package activities_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/devstack/world"
)

// sheetBench has a sheet with the rows of Ada and Bob.
func sheetBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t).withSheets()
	for _, name := range []string{"Ada", "Bob"} {
		b.user(name, properties{"first_name": name, "job_title": "=1+2"})
		b.do("add_sheet_row", b.step("add-"+strings.ToLower(name), name, "add_sheet_row",
			`{"spreadsheet": "staff", "sheet": "People", "values": {"Id": "{{ user.id }}", "State": "new", "Title": "none", "Note": "kept"}}`))
	}
	return b
}

func TestUpdateSheetRowWritesItsColumnsOnly(t *testing.T) {
	t.Parallel()
	b := sheetBench(t)
	enrollment := b.step("w", "Bob", "update_sheet_row", `{"spreadsheet": "staff", "sheet": "People",
		"lookup": {"column": "Id", "value": "{{ user.id }}"}, "values": {"Title": "{{ user.job_title }}", "State": "gone"}}`)

	v := b.do("update_sheet_row", enrollment)

	row := b.sent(world.KindSheetRow)[2]
	require.Equal(t, "People!A3:D3", row.Range)
	require.Equal(t, map[string]string{"Id": "Bob", "State": "gone", "Title": "=1+2", "Note": "kept"}, row.Values)
	require.Equal(t, []string{"State", "Title"}, row.Updated)
	require.Equal(t, "updated People!C3:D3", v.What)
	require.Equal(t, map[string]any{"found": true, "range": "People!C3:D3", "row": 3.0}, v.Output)
	require.Equal(t, "new", b.sent(world.KindSheetRow)[0].Values["State"])
}

func TestUpdateSheetRowWhereThereIsNoSuchRow(t *testing.T) {
	t.Parallel()
	b := sheetBench(t)
	b.user("cleo", properties{"first_name": "Cleo"})
	with := func(missing string) map[string]any {
		w := map[string]any{
			"spreadsheet": "staff", "sheet": "People", "values": map[string]any{"State": "came"},
			"lookup": map[string]any{"column": "Id", "value": "{{ user.id }}"},
		}
		if missing != "" {
			w["if_missing"] = missing
		}
		return w
	}
	b.failsForGood("update_sheet_row", b.step("default", "cleo", "update_sheet_row", with("")), "no row of the sheet has the value that is looked for")
	b.failsForGood("update_sheet_row", b.step("fail", "cleo", "update_sheet_row", with("fail")), "no row of the sheet has the value that is looked for")
	v := b.do("update_sheet_row", b.step("skip", "cleo", "update_sheet_row", with("skip")))
	require.Equal(t, "found no row to update", v.What)
	require.Equal(t, map[string]any{"found": false}, v.Output)
	require.Len(t, b.sent(world.KindSheetRow), 2)

	v = b.do("update_sheet_row", b.step("add", "cleo", "update_sheet_row", with("add")))
	require.Equal(t, "found no row to update, added People!A4:D4", v.What)
	require.Equal(t, map[string]any{"found": false, "range": "People!A4:D4", "row": 4.0}, v.Output)
	require.Equal(t, map[string]string{"Id": "cleo", "State": "came", "Title": "", "Note": ""}, b.sent(world.KindSheetRow)[2].Values)
	require.Empty(t, b.sent(world.KindSheetRow)[2].Updated)

	v = b.do("update_sheet_row", b.step("again", "cleo", "update_sheet_row", with("add")))
	require.Equal(t, true, v.Output["found"], "the row that was added is the one that is found")
	require.Equal(t, "People!A4:D4", b.sent(world.KindSheetRow)[3].Range)
}

func TestUpdateSheetRowFailsForGoodOrForNow(t *testing.T) {
	t.Parallel()
	b := sheetBench(t)
	const rest = `"spreadsheet": "staff", "sheet": "People", "values": {"State": "gone"}}`
	b.failsForGood("update_sheet_row", b.step("several", "Ada", "update_sheet_row", `{"lookup": {"column": "Note", "value": "kept"}, "if_missing": "add", `+rest),
		`2 rows have the value that is looked for in column "Note"; there must be one`)
	b.failsForGood("update_sheet_row", b.step("column", "Ada", "update_sheet_row", `{"lookup": {"column": "Idd", "value": "Ada"}, "if_missing": "add", `+rest),
		`sheet has no column "Idd"; it has Id, Note, State, Title`)
	b.failsForGood("update_sheet_row", b.step("empty", "Ada", "update_sheet_row", `{"lookup": {"column": "Id", "value": "{{ user.last_name }}"}, "if_missing": "add", `+rest),
		"lookup/value is required")
	enrollment := b.step("busy", "Ada", "update_sheet_row", `{"lookup": {"column": "Id", "value": "Ada"}, "if_missing": "{{ 'skip' }}", `+rest)
	b.world.Fail(world.Fault{Path: "/sheets/", Status: 429, RetryAfter: "60", Body: `{"error": {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}}`})
	app := b.fails("update_sheet_row", enrollment)
	require.False(t, app.NonRetryable())
	require.Equal(t, time.Minute, app.NextRetryDelay())
	require.Contains(t, b.visit(enrollment, "it").Error, "Quota exceeded")
	b.withSheets() // as after a restart
	b.do("update_sheet_row", enrollment)
	require.Len(t, b.sent(world.KindSheetRow), 3)
}

func TestUpdateSheetRowIsCheckedAtPublication(t *testing.T) {
	t.Parallel()
	require.Equal(t, automation.Problems{
		{Pointer: "/spreadsheet", Code: "required", Message: "spreadsheet is required"},
		{Pointer: "/lookup/column", Code: "required", Message: "lookup/column is required"},
		{Pointer: "/lookup/value", Code: "required", Message: "lookup/value is required"},
		{Pointer: "/values", Code: "required", Message: "values is required"},
	}, check(t, "update_sheet_row", `{}`))
	require.Equal(t, automation.Problems{
		{Pointer: "/values", Code: "invalid-value", Message: "the column that a row is found by cannot be among the values"},
		{Pointer: "/if_missing", Code: "invalid-value", Message: "if_missing must be fail, add or skip"},
	}, check(t, "update_sheet_row", `{"spreadsheet": "s", "lookup": {"column": "Id", "value": "x"}, "values": {"Id": "y"}, "if_missing": "create"}`))
	require.Equal(t, problem("/lookup/colunm", "unknown-field", `unknown field "colunm"; known are column, value`),
		check(t, "update_sheet_row", `{"spreadsheet": "s", "lookup": {"colunm": "Id", "value": "x"}, "values": {"A": "y"}}`))
	require.Empty(t, check(t, "update_sheet_row",
		`{"spreadsheet": "s", "lookup": {"column": "Id", "value": "{{ user.id }}"}, "values": {"A": "y"}, "if_missing": "{{ user.job_title }}"}`))

	kind, _ := catalog().Find("update_sheet_row")
	var schema struct {
		Properties struct {
			Lookup struct {
				Type       string
				Required   []string
				Properties map[string]any
			}
		}
	}
	require.NoError(t, json.Unmarshal(kind.Schema, &schema))
	require.Equal(t, "object", schema.Properties.Lookup.Type)
	require.Equal(t, []string{"column", "value"}, schema.Properties.Lookup.Required)
	require.Len(t, schema.Properties.Lookup.Properties, 2)
}
