package automation

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
)

// EffectKey is the identity of the effect of one visit of a step: the same in every attempt, and
// never that of another effect. It is 32 characters of a-z and 2-7.
func EffectKey(enrollmentID, step string, visit int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", enrollmentID, step, visit))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:20]))
}
