package api

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"rollcall/postgres"
)

// FuzzPageToken reads any token as a place in each kind of list. It is a place that a token of ours leads
// to as well, or not one of ours.
func FuzzPageToken(f *testing.F) {
	at := time.Date(2027, 1, 4, 9, 0, 0, 123456000, time.UTC)
	for _, token := range []string{
		pageToken("u_1"), pageToken(int64(42)), pageToken(postgres.EnrollmentCursor{CreatedAt: at, ID: "0194a3c8-7e0f-7d3a-9b1c-2f4e6a8c0d1e"}),
		"", "x", "!", base64.RawURLEncoding.EncodeToString([]byte("null")), base64.RawURLEncoding.EncodeToString([]byte(`"a\u0000"`)), base64.RawURLEncoding.EncodeToString([]byte(`"\ud800"`)),
		base64.RawURLEncoding.EncodeToString([]byte(`{"CreatedAt": "9999-12-31T23:59:59.999999999-23:59", "ID": ""}`)), base64.RawURLEncoding.EncodeToString([]byte(`1e3`)),
		base64.RawURLEncoding.EncodeToString([]byte(`{"ID": "a", "ID": "b"}`)), base64.StdEncoding.EncodeToString([]byte(`"???"`)), pageToken("u_1") + "\n",
	} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		text, number, cursor := placeIn[string](t, token), placeIn[int64](t, token), placeIn[*postgres.EnrollmentCursor](t, token)
		require.True(t, utf8.ValidString(text))
		require.False(t, strings.ContainsRune(text, 0), "it cannot be looked for")
		kinds := 0
		for _, is := range []bool{text != "", number != 0, cursor != nil} {
			if is {
				kinds++
			}
		}
		require.LessOrEqual(t, kinds, 1, "a place is of one kind of list")
		if cursor != nil && isID(cursor.ID) {
			require.Len(t, cursor.ID, 36)
			require.Regexp(t, `^[0-9a-fA-F-]{36}$`, cursor.ID)
		}
	})
}

// placeIn reads a place, and reads it again that a token of ours leads to.
func placeIn[T any](t *testing.T, token string) T {
	t.Helper()
	var place, again, nowhere T
	if err := (&Page{PageToken: token}).read(&place); err != nil {
		problem, ok := errors.AsType[*ProblemDetails](err)
		require.True(t, ok, err)
		require.Equal(t, http.StatusBadRequest, problem.Status)
		require.Contains(t, problem.Type, "invalid-page-token")
		return nowhere
	}
	require.NoError(t, (&Page{PageToken: pageToken(place)}).read(&again))
	require.Equal(t, place, again)
	return place
}

// FuzzIDs reads any list of ids: what is read is written as it is read, and null is refused.
func FuzzIDs(f *testing.F) {
	for _, text := range []string{`null`, `[]`, `["a", "b"]`, `[1]`, `"a"`, `{}`, `[null]`, ``, `["\ud800"]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var ids, again IDs
		if ids.UnmarshalJSON(text) != nil {
			return
		}
		list, err := ids.chosen("/ids")
		if string(text) == "null" {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		written, err := ids.MarshalJSON()
		require.NoError(t, err)
		require.NoError(t, again.UnmarshalJSON(written))
		require.Equal(t, list, again.list)
	})
}
