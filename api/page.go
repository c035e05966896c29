package api

import (
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"rollcall/automation"
	"rollcall/strictjson"
)

const (
	defaultPage = 50
	maxPage     = 200
	maxChosen   = 1000 // ids in one request
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

// IDs choose among things. Left out, they choose all, so that null, which chooses nothing one could
// name, is refused.
type IDs struct {
	list []string
	null bool
}

// UnmarshalJSON reads a list.
func (ids *IDs) UnmarshalJSON(text []byte) error {
	ids.null = string(text) == "null"
	return json.Unmarshal(text, &ids.list)
}

// MarshalJSON writes the list.
func (ids IDs) MarshalJSON() ([]byte, error) { return json.Marshal(ids.list) }

// Schema implements huma.SchemaProvider.
func (IDs) Schema(huma.Registry) *huma.Schema {
	most := maxChosen
	return &huma.Schema{Type: huma.TypeArray, MaxItems: &most, Items: &huma.Schema{Type: huma.TypeString}}
}

// chosen is the list, nil for all.
func (ids IDs) chosen(pointer string) ([]string, error) {
	var p automation.Problems
	if ids.null {
		p.Add(pointer, "required", "null is no list; leave it out for all, or list ids")
	}
	return ids.list, automation.Invalid("the list of ids", p)
}

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
