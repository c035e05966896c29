package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may nest.
const MaxDepth = 32

// SyntaxError says why a text is not an acceptable JSON document.
type SyntaxError struct {
	Code    string // "malformed-json", "duplicate-member", "json-too-deep", "invalid-utf8", "nul-character"
	Message string
	Offset  int64 // byte offset near the fault
}

func (e *SyntaxError) Error() string { return e.Message }

// Parse reads exactly one JSON value into map[string]any, []any, string, float64, bool or nil.
// Unlike encoding/json it refuses duplicate members, invalid UTF-8, lone surrogates, U+0000,
// a byte order mark, nesting deeper than MaxDepth and anything after the value.
// The error is a *SyntaxError.
func Parse(data []byte) (any, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, &SyntaxError{Code: "malformed-json", Message: "the document is empty"}
	}
	if !utf8.Valid(data) || hasLoneSurrogate(data) {
		return nil, &SyntaxError{Code: "invalid-utf8", Message: "the document is not valid UTF-8 text"}
	}
	d := &parser{json.NewDecoder(bytes.NewReader(data))}
	d.UseNumber()
	v, err := d.value(0)
	if err != nil {
		return nil, d.fault(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, &SyntaxError{Code: "malformed-json", Message: "there is more text after the document", Offset: d.InputOffset()}
	}
	return v, nil
}

type parser struct{ *json.Decoder }

func (d *parser) value(depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		if depth >= MaxDepth {
			return nil, &SyntaxError{Code: "json-too-deep", Message: fmt.Sprintf("the document nests deeper than %d levels", MaxDepth)}
		}
		if t == '{' {
			return d.object(depth)
		}
		return d.array(depth)
	case string:
		return t, checkText(t)
	case json.Number:
		return number(t)
	default:
		return t, nil
	}
}

func (d *parser) object(depth int) (any, error) {
	members := map[string]any{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := t.(string)
		if err := checkText(name); err != nil {
			return nil, err
		}
		if _, double := members[name]; double {
			return nil, &SyntaxError{Code: "duplicate-member", Message: fmt.Sprintf("member %q stands twice in one object", Short(name))}
		}
		if members[name], err = d.value(depth + 1); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return members, err
}

func (d *parser) array(depth int) (any, error) {
	items := []any{}
	for d.More() {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		items = append(items, v)
	}
	_, err := d.Token()
	return items, err
}

func (d *parser) fault(err error) error {
	if s, ok := errors.AsType[*SyntaxError](err); ok {
		s.Offset = d.InputOffset()
		return s
	}
	message := "the document is not valid JSON"
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		message = "the document ends too early"
	}
	return &SyntaxError{Code: "malformed-json", Message: fmt.Sprintf("%s (near byte %d)", message, d.InputOffset()), Offset: d.InputOffset()}
}

// number reads a number. A whole one that a float64 cannot hold exactly is refused, rather than
// stored as another.
func number(n json.Number) (float64, error) {
	f, err := n.Float64()
	if err != nil {
		return 0, &SyntaxError{Code: "malformed-json", Message: fmt.Sprintf("the number %.40s is out of range", n)}
	}
	exact := func() bool { return strconv.FormatFloat(f, 'f', -1, 64) == n.String() }
	if math.Abs(f) >= 1<<53 && !strings.ContainsAny(n.String(), ".eE") && !exact() {
		return 0, &SyntaxError{Code: "number-not-exact", Message: fmt.Sprintf("the number %.40s cannot be kept exactly; send it as text", n)}
	}
	return f, nil
}

// checkText refuses U+0000, which no text column of PostgreSQL can hold.
func checkText(s string) error {
	if strings.ContainsRune(s, 0) {
		return &SyntaxError{Code: "nul-character", Message: "the character U+0000 cannot be stored"}
	}
	return nil
}

// hasLoneSurrogate finds an escaped half of a surrogate pair, which encoding/json
// would silently turn into U+FFFD.
func hasLoneSurrogate(data []byte) bool {
	for i := 0; i+1 < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		if data[i+1] != 'u' {
			i++
			continue
		}
		u, ok := hex4(data, i+2)
		switch {
		case !ok:
			return false
		case u >= 0xdc00 && u <= 0xdfff:
			return true
		case u >= 0xd800 && u <= 0xdbff:
			if i+7 >= len(data) || data[i+6] != '\\' || data[i+7] != 'u' {
				return true
			}
			low, ok := hex4(data, i+8)
			if !ok || low < 0xdc00 || low > 0xdfff {
				return true
			}
			i += 6
		}
		i += 5
	}
	return false
}

func hex4(data []byte, at int) (rune, bool) {
	if at+4 > len(data) {
		return 0, false
	}
	var u rune
	for _, c := range data[at : at+4] {
		switch {
		case c >= '0' && c <= '9':
			u = u<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			u = u<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return u, true
}
