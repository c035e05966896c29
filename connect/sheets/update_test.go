package sheets_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/connect"
	"rollcall/connect/sheets"
)

func TestUpdateRowWritesTheCellsOfOneRow(t *testing.T) {
	t.Parallel()
	g := google(t)
	g.header = []any{"Id", "Name", "Team", "", "Joined"}
	g.column = []any{"u_1", "u_4", "", "u_12", "u_1 ", "U_1", "u_1"} // the first is a title
	got, err := g.client(t).UpdateRow(t.Context(), "abc", "My 'sheet'", sheets.Column{Name: " Id ", Value: "u_1"},
		[]sheets.Column{{Name: "Team", Value: "=1+2"}, {Name: "Joined", Value: ""}})
	require.NoError(t, err)
	require.Equal(t, sheets.Updated{Range: "'My ''sheet'''!C7:E7", Row: 7}, got)
	require.Equal(t, []string{
		"POST /token",
		"GET /v4/spreadsheets/abc/values/'My ''sheet'''!1:1",
		"GET /v4/spreadsheets/abc/values/'My ''sheet'''!A:A alt=json&fields=values&majorDimension=COLUMNS&prettyPrint=false",
		`POST /v4/spreadsheets/abc/values:batchUpdate RAW  [{"range":"'My ''sheet'''!C7","values":[["=1+2"]]},{"range":"'My ''sheet'''!E7","values":[[""]]}]`,
	}, g.requests())
}

func TestUpdateRowReachesColumnsBehindTheTwentySixth(t *testing.T) {
	t.Parallel()
	g := google(t)
	for i := range 800 {
		g.header = append(g.header, fmt.Sprint("c", i))
	}
	g.column = []any{"title", 42.0}
	got, err := g.client(t).UpdateRow(t.Context(), "abc", "", sheets.Column{Name: "c27", Value: "42"},
		[]sheets.Column{{Name: "c25", Value: "a"}, {Name: "c702", Value: "b"}, {Name: "c51", Value: "c"}})
	require.NoError(t, err)
	require.Equal(t, sheets.Updated{Range: "'My ''sheet'''!Z2:AAA2", Row: 2}, got)
	require.Contains(t, g.requests()[2], "values/AB:AB")
	require.Contains(t, g.requests()[3], `[{"range":"Z2","values":[["a"]]},{"range":"AAA2","values":[["b"]]},{"range":"AZ2","values":[["c"]]}]`)
}

func TestUpdateRowWritesNothingUnlessThereIsOneRow(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		header, column []any
		err            string
	}{
		"none":           {[]any{"Id", "Name"}, []any{"Id", "u_2"}, "no row of the sheet has the value that is looked for"},
		"its title only": {[]any{"u_1", "Name", "Id"}, []any{"u_1"}, "no row of the sheet has the value that is looked for"},
		"no rows":        {[]any{"Id", "Name"}, nil, "no row of the sheet has the value that is looked for"},
		"no titles":      {nil, nil, "no row of the sheet has the value that is looked for"},
		"several": {
			[]any{"Id", "Name"},
			[]any{"Id", "u_1", "u_2", "u_1", "u_1"},
			`update row: 3 rows have the value that is looked for in column "Id"; there must be one`,
		},
		"no such column":   {[]any{"Name"}, nil, `update row: sheet has no column "Id"; it has Name`},
		"no such columns":  {[]any{"Nam"}, nil, `update row: sheet has no column "Name", "Id"; it has Nam`},
		"no column to set": {[]any{"Id"}, nil, `update row: sheet has no column "Name"; it has Id`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := google(t)
			g.header, g.column = tt.header, tt.column
			_, err := g.client(t).UpdateRow(t.Context(), "abc", "Team", sheets.Column{Name: "Id", Value: "u_1"}, []sheets.Column{{Name: "Name", Value: "Ada"}})
			require.EqualError(t, err, tt.err)
			require.True(t, connect.IsPermanent(err))
			require.Equal(t, tt.err == sheets.ErrNoRow.Error(), errors.Is(err, sheets.ErrNoRow))
			for _, line := range g.requests()[1:] {
				require.Contains(t, line, "GET ")
			}
		})
	}
}

func TestUpdateRowRefusesBadRows(t *testing.T) {
	t.Parallel()
	g := google(t)
	for name, tt := range map[string]struct {
		spreadsheet string
		key         sheets.Column
		row         []sheets.Column
	}{
		"no spreadsheet":  {"", sheets.Column{Name: "Id", Value: "1"}, []sheets.Column{{Name: "a"}}},
		"no values":       {"abc", sheets.Column{Name: "Id", Value: "1"}, nil},
		"a column twice":  {"abc", sheets.Column{Name: "Id", Value: "1"}, []sheets.Column{{Name: "a"}, {Name: "a "}}},
		"no column":       {"abc", sheets.Column{Name: " ", Value: "1"}, []sheets.Column{{Name: "a"}}},
		"no value":        {"abc", sheets.Column{Name: "Id"}, []sheets.Column{{Name: "a"}}},
		"its own column":  {"abc", sheets.Column{Name: "Id", Value: "1"}, []sheets.Column{{Name: "Id ", Value: "2"}}},
		"a path in an id": {"a/b", sheets.Column{Name: "Id", Value: "1"}, []sheets.Column{{Name: "a"}}},
	} {
		_, err := g.client(t).UpdateRow(t.Context(), tt.spreadsheet, "", tt.key, tt.row)
		require.True(t, connect.IsPermanent(err), name)
		require.Equal(t, connect.Invalid, connect.Class(err), name)
	}
	require.Empty(t, g.requests())
}

func TestUpdateRowJudgesAnswers(t *testing.T) {
	t.Parallel()
	for status, permanent := range map[int]bool{400: true, 403: true, 404: true, 429: false, 500: false, 503: false} {
		for _, at := range []string{"token", "api", "column"} {
			t.Run(fmt.Sprint(at, status), func(t *testing.T) {
				t.Parallel()
				g := google(t)
				g.header = []any{"Id", "Name"}
				g.fail(at, status)
				c := g.client(t)
				update := func() error {
					_, err := c.UpdateRow(t.Context(), "abc", "Team", sheets.Column{Name: "Id", Value: "1"}, []sheets.Column{{Name: "Name"}})
					return err
				}
				err := update()
				require.Equal(t, permanent, connect.IsPermanent(err))
				require.Equal(t, status, connect.StatusCode(err))
				require.ErrorContains(t, err, "The reason why")
				wait, ok := connect.RetryAfter(err)
				require.Equal(t, !permanent, ok)
				if permanent {
					return
				}
				require.Equal(t, time.Minute, wait)
				asked := len(g.requests())
				err = update()
				require.Equal(t, connect.Busy, connect.Class(err), "nothing more is asked of who said when to come back")
				require.Len(t, g.requests(), asked)
			})
		}
	}
}

func TestATokenThatDoesNotComeHoldsNobodyLongerThanItsContext(t *testing.T) {
	t.Parallel()
	asked, release := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-release
	}))
	defer s.Close()
	defer close(release)
	g := &fakeGoogle{server: s}
	c, err := sheets.New(t.Context(), sheets.Config{Endpoint: s.URL, CredentialsJSON: g.credentials(t)},
		connect.NewHTTPClient(connect.Guard{AllowAddrs: []netip.AddrPort{netip.MustParseAddrPort(s.Listener.Addr().String())}}))
	require.NoError(t, err)
	row := []sheets.Column{{Name: "a"}}
	first, end := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := c.AppendRow(first, "abc", "", row)
		failed <- err
	}()
	<-asked
	second, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = c.AppendRow(second, "abc", "", row)
	require.Equal(t, connect.Timeout, connect.Class(err))
	end()
	require.Equal(t, connect.Canceled, connect.Class(<-failed))
}
