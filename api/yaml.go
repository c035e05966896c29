package api

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"

	"rollcall/automation"
	"rollcall/strictjson"
)

// ParseYAML reads a definition that is written as YAML. JSON is YAML too, but is judged more
// strictly by automation.ParseDocument. Errors are those of automation.ParseDocument.
func ParseYAML(text []byte) (*automation.Document, error) {
	for _, t := range lexer.Tokenize(string(text)) {
		if t.Type == token.AnchorType || t.Type == token.AliasType {
			return nil, &strictjson.SyntaxError{Code: "malformed-yaml", Message: fmt.Sprintf("line %d: anchors and aliases are not taken", t.Position.Line)}
		}
	}
	converted, err := yaml.YAMLToJSON(text)
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return nil, &strictjson.SyntaxError{Code: "malformed-yaml", Message: "the document is not valid YAML: " + first}
	}
	return automation.ParseDocument(converted)
}

func isYAML(mediaType string) bool {
	return mediaType == "application/yaml" || mediaType == "application/x-yaml" || mediaType == "text/yaml"
}

// takesYAML reports whether the route takes definitions.
func takesYAML(route string) bool {
	return route == "/v1/workflows/:name" || route == "/v1/workflows/validate"
}
