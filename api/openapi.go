package api

import (
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// created describes an operation that makes something each time.
func created(o *huma.Operation) { o.DefaultStatus = http.StatusCreated }

// taken describes an operation whose effect comes later.
func taken(o *huma.Operation) { o.DefaultStatus = http.StatusAccepted }

// createdOrChanged describes an operation that makes a thing or changes it: two statuses, one form.
func createdOrChanged(o *huma.Operation) { oneForm(o, http.StatusOK, http.StatusCreated) }

// oneForm describes an operation whose answers have the same form with each of some statuses.
func oneForm(o *huma.Operation, statuses ...int) {
	content, headers := map[string]*huma.MediaType{}, map[string]*huma.Param{}
	o.Responses = map[string]*huma.Response{}
	for _, status := range statuses {
		o.Responses[strconv.Itoa(status)] = &huma.Response{Description: http.StatusText(status), Content: content, Headers: headers}
	}
}

// replaces describes an operation that If-Match guards.
func replaces(o *huma.Operation) { o.Errors = append(o.Errors, http.StatusPreconditionFailed) }

// correctBodies takes back what huma says of bodies that are read as they come.
func (s *server) correctBodies() {
	for _, path := range s.OpenAPI().Paths {
		for _, o := range []*huma.Operation{path.Post, path.Put} {
			if o != nil && o.RequestBody != nil {
				delete(o.RequestBody.Content, "application/octet-stream")
			}
		}
	}
}

// filled refuses a parameter of the query that is there and empty: what it would select is not said.
func filled(ctx huma.Context, name string) []error {
	u := ctx.URL()
	if values, given := u.Query()[name]; given && values[0] == "" {
		return []error{&huma.ErrorDetail{Location: "query." + name, Message: "is empty; leave it out or give it a value"}}
	}
	return nil
}
