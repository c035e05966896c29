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

// List is one page of a list.
type List[T any] struct {
	Body struct {
		Items []T     `json:"items"`
		Next  *string `json:"next" doc:"Where the list goes on: the page_token of the next call; null at the end."`
	}
}

// page is a page of a list that goes on at a token; "" where it does not.
func page[T any](items []T, next string) *List[T] {
	var l List[T]
	l.Body.Items = items
	if next != "" {
		l.Body.Next = &next
	}
	return &l
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

// pageOf cuts a list that was asked for with one item more than the page takes; place is where the list
// goes on behind an item.
func pageOf[T any](items []T, limit int, place func(*T) any) *List[T] {
	if len(items) <= limit {
		return page(items, "")
	}
	return page(items[:limit], pageToken(place(&items[limit-1])))
}

// showing is a page of a list with its items as they are shown.
func showing[T, S any](l *List[T], show func(*T) S) *List[S] {
	var shown List[S]
	shown.Body.Next, shown.Body.Items = l.Body.Next, make([]S, len(l.Body.Items))
	for i := range l.Body.Items {
		shown.Body.Items[i] = show(&l.Body.Items[i])
	}
	return &shown
}
