package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"

	"rollcall/automation"
	"rollcall/strictjson"
)

// maxTokens is how many words and signs a definition in YAML may have. The time that the parser
// takes grows with their square: at the limit it is half a second.
const maxTokens = 30_000

// ParseYAML reads a definition that is written as YAML. JSON is YAML too, but is judged more
// strictly by automation.ParseDocument. Errors are those of automation.ParseDocument.
func ParseYAML(text []byte) (*automation.Document, error) {
	if !utf8.Valid(text) {
		return nil, &strictjson.SyntaxError{Code: "invalid-utf8", Message: "the document is not valid UTF-8 text"}
	}
	tokens := lexer.Tokenize(string(text))
	if len(tokens) > maxTokens {
		return nil, malformedYAML("the document has more than %d words and signs", maxTokens)
	}
	for _, t := range tokens {
		if t.Type == token.AnchorType || t.Type == token.AliasType {
			return nil, malformedYAML("line %d: anchors and aliases are not taken", t.Position.Line)
		}
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	var v any
	if err := d.Decode(&v); err != nil && !errors.Is(err, io.EOF) { // the end at once is an empty document
		first, _, _ := strings.Cut(err.Error(), "\n")
		return nil, malformedYAML("the document is not valid YAML: %s", first)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, malformedYAML("there is another document after the first")
	}
	converted, err := json.Marshal(v)
	if err != nil {
		return nil, malformedYAML("the document has a value that is no JSON, such as infinity")
	}
	return automation.ParseDocument(converted)
}

func malformedYAML(format string, args ...any) error {
	return &strictjson.SyntaxError{Code: "malformed-yaml", Message: fmt.Sprintf(format, args...)}
}

func isYAML(mediaType string) bool {
	return mediaType == "application/yaml" || mediaType == "application/x-yaml" || mediaType == "text/yaml"
}

// takesYAML reports whether the route takes definitions.
func takesYAML(route string) bool {
	return route == "/v1/workflows/:name" || route == "/v1/workflows/validate"
}
