package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"
	"github.com/gin-gonic/gin"

	"rollcall/automation"
	"rollcall/strictjson"
)

// typePrefix makes a slug the absolute URI of a problem type.
const typePrefix = "urn:rollcall:problem/"

const (
	tooLarge    = "payload-too-large" // the one slug of everything that is too large
	maxProblems = 100                 // in one answer
)

// ProblemDetails is the body of every answer that is not a success (RFC 9457).
type ProblemDetails struct { //nolint:errname // it is a body first, named as in RFC 9457
	Type     string               `json:"type" doc:"Names the kind of problem; its last segment is a stable slug."`
	Title    string               `json:"title"`
	Status   int                  `json:"status"`
	Detail   string               `json:"detail,omitempty"`
	Instance string               `json:"instance,omitempty" doc:"The id of the request, as in X-Request-Id."`
	Problems []automation.Problem `json:"errors,omitempty" doc:"What is wrong, with the place in the body as a JSON Pointer."`

	retryAfter string
}

// Error makes a problem an error.
func (p *ProblemDetails) Error() string { return p.Title + ": " + p.Detail }

// GetStatus implements huma.StatusError.
func (p *ProblemDetails) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *ProblemDetails) ContentType(string) string { return "application/problem+json" }

// GetHeaders implements huma.HeadersError.
func (p *ProblemDetails) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter != "" {
		h.Set("Retry-After", p.retryAfter)
	}
	return h
}

func newProblem(status int, slug, detail string) *ProblemDetails {
	return &ProblemDetails{Type: typePrefix + slug, Title: http.StatusText(status), Status: status, Detail: detail}
}

// table says which problem an error is: specific ones first, the first match wins.
var table = []struct {
	err    error
	status int
	slug   string
}{
	{automation.ErrAlreadyEnrolled, http.StatusConflict, "already-enrolled"},
	{automation.ErrEnrollsOnce, http.StatusConflict, "enrolls-once"},
	{automation.ErrNotActive, http.StatusConflict, "definition-not-active"},
	{automation.ErrFinished, http.StatusConflict, "already-finished"},
	{automation.ErrSuppressed, http.StatusConflict, "suppressed"},
	{automation.ErrInUse, http.StatusConflict, "in-use"},
	{automation.ErrEventIDTaken, http.StatusUnprocessableEntity, "event-id-taken"},
	{automation.ErrUnknownUser, http.StatusUnprocessableEntity, "unknown-user"},
	{automation.ErrInvalid, http.StatusUnprocessableEntity, "invalid"},
	{automation.ErrNotFound, http.StatusNotFound, "not-found"},
	{automation.ErrConflict, http.StatusConflict, "conflict"},
	{automation.ErrStale, http.StatusPreconditionFailed, "precondition-failed"},
	{automation.ErrUnavailable, http.StatusServiceUnavailable, "dependency-unavailable"},
}

// problem turns an error into what the caller is told. An error that is not in the table is
// logged once, and the caller learns nothing of it.
func (s *server) problem(ctx context.Context, err error) *ProblemDetails {
	request, _ := ctx.Value(requestKey{}).(string)
	p := describe(err)
	if p == nil && ctx.Err() != nil {
		p = newProblem(http.StatusRequestTimeout, "request-timeout", "the request ended before it was answered")
	}
	if p == nil {
		s.Log.Error("internal error", "request_id", request, "error", err)
		p = newProblem(http.StatusInternalServerError, "internal", "internal error")
	}
	p.Instance = request
	return p
}

func describe(err error) *ProblemDetails {
	if p, ok := errors.AsType[*ProblemDetails](err); ok {
		return p
	}
	if invalid, ok := errors.AsType[*automation.InvalidError](err); ok {
		slug, status := slugOf(invalid), http.StatusUnprocessableEntity
		if slug == tooLarge {
			status = http.StatusRequestEntityTooLarge
		}
		p := newProblem(status, slug, invalid.What+" has problems")
		p.Problems = atMost(invalid.Problems)
		return p
	}
	if syntax, ok := errors.AsType[*strictjson.SyntaxError](err); ok {
		return newProblem(http.StatusBadRequest, syntax.Code, syntax.Message)
	}
	for _, row := range table {
		if errors.Is(err, row.err) {
			p := newProblem(row.status, row.slug, err.Error())
			if row.status == http.StatusServiceUnavailable {
				p.retryAfter, p.Detail = "1", "a database or Temporal does not answer"
			}
			return p
		}
	}
	return nil
}

// atMost cuts a list of problems to what one answer has.
func atMost(problems automation.Problems) automation.Problems {
	return problems[:min(len(problems), maxProblems)]
}

// slugOf is the definition's own slug, or that of the only problem.
func slugOf(e *automation.InvalidError) string {
	if strings.Contains(e.What, "workflow") {
		return "definition-invalid"
	}
	return e.Problems[0].Code
}

// useProblems makes huma's own errors problems. Nothing of the body is echoed. Names of members are
// exact.
func useProblems() {
	huma.ValidateStrictCasing = true
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		return fromHuma(status, msg, errs)
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
		p := fromHuma(status, msg, errs)
		if ctx != nil {
			p.Instance, _ = ctx.Context().Value(requestKey{}).(string)
		}
		return p
	}
}

func fromHuma(status int, msg string, errs []error) *ProblemDetails {
	if p := unreadable(status, msg, errs); p != nil {
		return p
	}
	if status == http.StatusUnprocessableEntity {
		status = http.StatusBadRequest
	}
	slug := map[int]string{
		http.StatusBadRequest: "schema-violation", http.StatusNotFound: "not-found", http.StatusRequestEntityTooLarge: tooLarge,
		http.StatusUnsupportedMediaType: "unsupported-media-type", http.StatusRequestTimeout: "request-timeout",
	}[status]
	if slug == "" {
		slug = strings.ReplaceAll(strings.ToLower(http.StatusText(status)), " ", "-")
	}
	p := newProblem(status, slug, msg)
	if status == http.StatusRequestEntityTooLarge {
		p.Detail = "the body is larger than this operation takes"
	}
	for _, err := range errs[:min(len(errs), maxProblems)] {
		detail, ok := errors.AsType[*huma.ErrorDetail](err)
		if !ok {
			p.Problems = append(p.Problems, automation.Problem{Code: slug, Message: "the request cannot be read"})
			continue
		}
		code, message := slug, detail.Message
		pointer, ok := pointerOf(detail.Location)
		if !ok {
			message = detail.Location + ": " + message
		}
		if detail.Message == validation.MsgUnexpectedProperty {
			code, message = "unknown-field", "there is no such field"
			p.Type = typePrefix + code
			pointer = memberPointer(detail)
		}
		p.Problems = append(p.Problems, automation.Problem{Pointer: pointer, Code: code, Message: message})
	}
	slices.SortStableFunc(p.Problems, func(a, b automation.Problem) int { return cmp.Compare(a.Pointer, b.Pointer) })
	return p
}

// unreadable is the problem of a body that cannot be read at all; nil for other problems.
func unreadable(status int, msg string, errs []error) *ProblemDetails {
	switch {
	case msg == "request body is required":
		return newProblem(http.StatusBadRequest, "malformed-json", "the body is empty")
	case status == http.StatusInternalServerError && msg == "cannot read request body":
		return newProblem(http.StatusBadRequest, "malformed-json", "the body ends before its announced length")
	}
	for _, err := range errs {
		if detail, ok := errors.AsType[*huma.ErrorDetail](err); ok {
			if code, message, ok := faultIn(detail.Message); ok {
				return newProblem(http.StatusBadRequest, code, message)
			}
		}
	}
	return nil
}

// faultMark begins the text of a fault. huma keeps only the text of the errors of decoders.
const faultMark = "fault\x00"

// fault is a decoder's error whose code outlives huma.
type fault struct{ code, message string }

func (f *fault) Error() string { return faultMark + f.code + "\x00" + f.message }

// faultIn finds the fault that a text was made of.
func faultIn(text string) (code, message string, ok bool) {
	rest, ok := strings.CutPrefix(text, faultMark)
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, "\x00")
}

var indexed = regexp.MustCompile(`\[(\d+)\]`)

// pointerOf turns a location such as body.items[2].name into a JSON Pointer.
func pointerOf(location string) (pointer string, ok bool) {
	rest, ok := strings.CutPrefix(location, "body")
	if !ok {
		return "", false
	}
	return strings.ReplaceAll(indexed.ReplaceAllString(rest, ".$1"), ".", "/"), true
}

// memberPointer is the pointer of a member that is not expected. Its name may have dots, so it is
// told apart from where it stands by the names in its object.
func memberPointer(d *huma.ErrorDetail) string {
	members, _ := d.Value.(map[string]any)
	longest := ""
	for name := range members {
		if strings.HasSuffix(d.Location, "."+name) && len(name) > len(longest) {
			longest = name
		}
	}
	parent, _ := pointerOf(strings.TrimSuffix(d.Location, "."+longest))
	return strictjson.Field(parent, longest)
}

// sendProblem answers a request that no handler takes.
func sendProblem(c *gin.Context, p *ProblemDetails) {
	p.Instance, _ = c.Request.Context().Value(requestKey{}).(string)
	text, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("api: write problem: %s", err))
	}
	if p.retryAfter != "" {
		c.Header("Retry-After", p.retryAfter)
	}
	c.Data(p.Status, "application/problem+json", text)
	c.Abort()
}
