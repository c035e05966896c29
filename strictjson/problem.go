// Package strictjson reads JSON documents that people write: it refuses what is ambiguous and
// reports every problem with the place where it stands.
//
// Floor 0: standard library only. It knows nothing of what the documents mean.
package strictjson

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Problem is one thing that is wrong with a document.
type Problem struct {
	Pointer string `json:"pointer"` // JSON Pointer (RFC 6901) to the place; "" is the whole document
	Code    string `json:"code"`    // stable slug, e.g. "unknown-field"
	Message string `json:"message"` // one sentence for the author
}

// Problems collects what is wrong, in the order found.
type Problems []Problem

// Add appends one problem. Texts that the message quotes, by %q, are cut as Short does.
func (p *Problems) Add(pointer, code, format string, args ...any) {
	for i, arg := range args {
		if _, spoken := arg.(fmt.Stringer); spoken {
			continue
		}
		if text := reflect.ValueOf(arg); text.Kind() == reflect.String {
			args[i] = quotable(text.String())
		}
	}
	*p = append(*p, Problem{Pointer: pointer, Code: code, Message: fmt.Sprintf(format, args...)})
}

// MaxQuoted is how many characters of a text a message quotes.
const MaxQuoted = 100

// Short is a text as messages quote it: one that is long is cut.
func Short(text string) string { return Cut(text, MaxQuoted) }

// Cut is a text, or its first n characters where it has more.
func Cut(text string, n int) string {
	for i := range text {
		if n == 0 {
			return text[:i] + "…"
		}
		n--
	}
	return text
}

// quotable is a text that is cut where it is quoted, and nowhere else.
type quotable string

// Format implements fmt.Formatter.
func (q quotable) Format(f fmt.State, verb rune) {
	text := string(q)
	if verb == 'q' {
		text = Short(text)
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), text)
}

// Join adds all problems of a part of the document that stands at pointer.
func (p *Problems) Join(pointer string, part Problems) {
	for _, q := range part {
		q.Pointer = pointer + q.Pointer
		*p = append(*p, q)
	}
}

// Field extends a pointer by the name of an object member.
func Field(pointer, name string) string {
	return pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// Index extends a pointer by a position in an array.
func Index(pointer string, i int) string {
	return pointer + "/" + strconv.Itoa(i)
}
