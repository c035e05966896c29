package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/devstack/world"
)

func TestAddSheetRowPutsValuesBelowTheirColumns(t *testing.T) {
	t.Parallel()
	b := newBench(t).withSheets()
	b.user("ada", properties{"first_name": "Ada", "job_title": "=1+2"})
	b.user("bob", properties{"first_name": "Bob"})
	with := map[string]any{"spreadsheet": "staff", "sheet": "New users", "values": map[string]any{
		"Name": "{{ user.first_name }}", "Id": "{{ user.id }}", "Title": "{{ user.job_title }}", "Sum": "=SUM(A1:A9)",
	}}

	v := b.do("add_sheet_row", b.step("w1", "ada", "add_sheet_row", with))

	row := b.only(world.KindSheetRow)
	require.Equal(t, "staff", row.Spreadsheet)
	require.Equal(t, "New users", row.Sheet)
	require.Equal(t, []string{"Id", "Name", "Sum", "Title"}, row.Columns)
	require.Equal(t, map[string]string{"Id": "ada", "Name": "Ada", "Sum": "=SUM(A1:A9)", "Title": "=1+2"}, row.Values, "written as they are")
	require.Equal(t, map[string]any{"range": "'New users'!A2:D2"}, v.Output)
	require.Equal(t, "added 'New users'!A2:D2", v.What)

	b.do("add_sheet_row", b.step("w2", "bob", "add_sheet_row",
		`{"spreadsheet": "staff", "sheet": "New users", "values": {"Title": "Lead", "Name": "{{ user.first_name }}"}}`))
	require.Equal(t, map[string]string{"Id": "", "Name": "Bob", "Sum": "", "Title": "Lead"}, b.sent(world.KindSheetRow)[1].Values)
}

func TestAddSheetRowFailsForGoodOrForNow(t *testing.T) {
	t.Parallel()
	b := newBench(t).withSheets()
	b.user("ada", properties{"first_name": "Ada"})
	b.do("add_sheet_row", b.step("first", "ada", "add_sheet_row", `{"spreadsheet": "staff", "values": {"Name": "x", "Id": "y"}}`))

	b.failsForGood("add_sheet_row", b.step("column", "ada", "add_sheet_row", `{"spreadsheet": "staff", "values": {"Nmae": "x"}}`),
		`sheet has no column "Nmae"; it has Id, Name`)
	b.failsForGood("add_sheet_row", b.step("id", "ada", "add_sheet_row", `{"spreadsheet": "{{ user.first_name }}/x", "values": {"Name": "x"}}`),
		"spreadsheet id is not valid")
	b.world.Fail(world.Fault{Path: "/sheets/", Status: 403, Body: `{"error": {"code": 403, "message": "The caller does not have permission"}}`})
	b.failsForGood("add_sheet_row", b.step("shared", "ada", "add_sheet_row", `{"spreadsheet": "other", "values": {"Name": "x"}}`),
		"The caller does not have permission")

	enrollment := b.step("busy", "ada", "add_sheet_row", `{"spreadsheet": "staff", "values": {"Name": "x"}}`)
	b.world.Fail(world.Fault{Path: "/sheets/", Status: 429, RetryAfter: "60"})
	app := b.fails("add_sheet_row", enrollment)
	require.False(t, app.NonRetryable())
	require.Equal(t, time.Minute, app.NextRetryDelay())
	b.withSheets() // as after a restart: what asked to wait is left alone until then
	b.do("add_sheet_row", enrollment)
	require.Len(t, b.sent(world.KindSheetRow), 2)
}

func TestAddSheetRowIsCheckedAtPublication(t *testing.T) {
	t.Parallel()
	require.Equal(t, automation.Problems{
		{Pointer: "/spreadsheet", Code: "required", Message: "spreadsheet is required"},
		{Pointer: "/values", Code: "required", Message: "values is required"},
	}, check(t, "add_sheet_row", `{"values": {}}`))
	require.Equal(t, problem("/values/Age", "wrong-type", "must be a text, is a number"),
		check(t, "add_sheet_row", `{"spreadsheet": "s", "values": {"Age": 3}}`))
}
