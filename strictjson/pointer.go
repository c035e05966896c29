package strictjson

import (
	"regexp"
	"strconv"
	"strings"
)

var (
	pointerForm = regexp.MustCompile(`^(/([^~/]|~[01])*)*$`)
	indexForm   = regexp.MustCompile(`^(0|[1-9][0-9]{0,8})$`)
)

// IsPointer reports whether a text is a JSON Pointer (RFC 6901).
func IsPointer(text string) bool { return pointerForm.MatchString(text) }

// At finds what stands at a JSON Pointer in a value of Parse. It says false where nothing does.
func At(v any, pointer string) (any, bool) {
	if pointer == "" {
		return v, true
	}
	for _, token := range strings.Split(pointer, "/")[1:] {
		switch container := v.(type) {
		case map[string]any:
			member, ok := container[strings.NewReplacer("~1", "/", "~0", "~").Replace(token)]
			if !ok {
				return nil, false
			}
			v = member
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || !indexForm.MatchString(token) || i >= len(container) {
				return nil, false
			}
			v = container[i]
		default:
			return nil, false
		}
	}
	return v, true
}
