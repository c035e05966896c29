package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"rollcall/strictjson"
)

// maxBody is how large a request may be.
const maxBody = 1 << 20

type requestKey struct{}

// observe gives the request an id, logs it, and answers a panic as an internal error.
func (s *server) observe(c *gin.Context) {
	began := time.Now()
	id := uuid.Must(uuid.NewV7()).String()
	c.Header("X-Request-Id", id)
	c.Header("X-Content-Type-Options", "nosniff")
	c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), requestKey{}, id))
	defer func() {
		if r := recover(); r != nil {
			s.Log.Error("panic", "request_id", id, "panic", r, "stack", string(debug.Stack()))
			if !c.Writer.Written() {
				sendProblem(c, newProblem(http.StatusInternalServerError, "internal", "internal error"))
			}
		}
		s.Log.Debug("request", "request_id", id, "method", c.Request.Method, "path", c.FullPath(),
			"status", c.Writer.Status(), "duration", time.Since(began))
	}()
	if len(c.Request.RequestURI) > 8<<10 {
		sendProblem(c, newProblem(http.StatusRequestURITooLong, "uri-too-long", "the address is longer than 8 KiB"))
		return
	}
	c.Next()
}

// checkAddress decodes the names in the path, and refuses text that the database cannot hold: it is
// nobody's name. PUT and PATCH say themselves what is wrong with the name of a thing.
func checkAddress(c *gin.Context) {
	u := c.Request.URL
	if u.RawPath != "" {
		for i := range c.Params {
			c.Params[i].Value, _ = url.PathUnescape(c.Params[i].Value) // decoded once before, with the whole path
		}
	}
	if m := c.Request.Method; !storable(u.Path) && m != http.MethodPut && m != http.MethodPatch {
		sendProblem(c, newProblem(http.StatusNotFound, "not-found", "there is nothing here"))
		return
	}
	query, err := url.ParseQuery(u.RawQuery)
	ok := err == nil
	for _, values := range query {
		ok = ok && storable(strings.Join(values, ""))
	}
	if !ok {
		sendProblem(c, newProblem(http.StatusBadRequest, "schema-violation", "the query is not made of names and texts"))
	}
}

func storable(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }

// checkBody refuses bodies of other types and encodings before they are read.
func checkBody(c *gin.Context) {
	r := c.Request
	if r.ContentLength == 0 || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		sendProblem(c, newProblem(http.StatusUnsupportedMediaType, "unsupported-encoding", "bodies are not compressed"))
		return
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := strings.ToLower(params["charset"])
	switch {
	case err == nil && (charset == "" || charset == "utf-8") && (kind == "application/json" || isYAML(kind) && takesYAML(c.FullPath())):
	default:
		sendProblem(c, newProblem(http.StatusUnsupportedMediaType, "unsupported-media-type", "the body must be application/json; definitions may be application/yaml"))
		return
	}
	r.Header.Set("Content-Type", kind) // huma tells capital letters apart
	if r.ContentLength > maxBody {
		sendProblem(c, newProblem(http.StatusRequestEntityTooLarge, tooLarge, "a body has at most 1 MiB"))
	}
}

// unmarshal decodes a body strictly. huma calls it twice: for its schema check and for the struct.
func unmarshal(data []byte, v any) error {
	if plain, ok := v.(*any); ok {
		parsed, err := strictjson.Parse(data)
		*plain = parsed
		if syntax, ok := errors.AsType[*strictjson.SyntaxError](err); ok {
			return &fault{syntax.Code, syntax.Message}
		}
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		// The schema check let it pass. The error speaks of Go's types and may quote the body.
		return &fault{"schema-violation", "the body does not have the form that is described"}
	}
	return nil
}

// definitionBody describes the body of an operation that takes a definition.
func definitionBody(o *huma.Operation) {
	definitionSize(o)
	o.SkipValidateBody = true // a definition has a validator of its own
	object := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}}
	o.RequestBody = &huma.RequestBody{
		Required: true, Description: "A workflow, as docs/writing-workflows.md describes it.",
		Content: map[string]*huma.MediaType{"application/json": object, "application/yaml": object},
	}
}

// definitionSize limits the body of an operation to what a definition may have.
func definitionSize(o *huma.Operation) { o.MaxBodyBytes = 512<<10 + 1 }
