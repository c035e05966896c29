package api

import (
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/google/uuid"

	"rollcall/strictjson"
)

const (
	defaultPage = 50
	maxPage     = 200
)

// Page selects a part of a list.
type Page struct {
	PageSize  int    `query:"page_size" minimum:"0" doc:"How many items at most; 0 means 50, more than 200 means 200."`
	PageToken string `query:"page_token" doc:"The next of the page before; left out, the list begins."`
}

func (p *Page) limit() int {
	if p.PageSize == 0 {
		return defaultPage
	}
	return min(p.PageSize, maxPage)
}

// read decodes the page token into the place where the list goes on; without one, into nothing.
func (p *Page) read(into any) error {
	if p.PageToken == "" {
		return nil
	}
	text, err := base64.RawURLEncoding.DecodeString(p.PageToken)
	if err != nil {
		return badPageToken()
	}
	if _, err := strictjson.Parse(text); err != nil || json.Unmarshal(text, into) != nil {
		return badPageToken()
	}
	return nil
}

// isID reports whether a text is an id that we gave.
func isID(text string) bool { return len(text) == 36 && uuid.Validate(text) == nil }

func badPageToken() error {
	return newProblem(http.StatusBadRequest, "invalid-page-token", "the page_token is not one of ours")
}

// pageToken encodes a place in a list.
func pageToken(place any) string {
	text, err := json.Marshal(place)
	if err != nil {
		panic("api: page token: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// trim cuts a list that was asked for with one item more than the page takes.
func trim[T any](items []T, limit int) ([]T, bool) {
	if len(items) <= limit {
		return items, false
	}
	return items[:limit], true
}
