package automation

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// What another system says that was called by a step.
const (
	CallSucceeded = "success"
	CallFailedOn  = "fail_continue" // it failed, and the flow goes on
	CallFailed    = "fail"          // the step fails
	CallPending   = "pending"       // the answer is given later
)

// MaxCallOutputs is how many bytes the outputs of an answer have at most, as JSON.
const MaxCallOutputs = 4 << 10

// CallAnswer is the answer of a system that a step called.
type CallAnswer struct {
	Status  string         `json:"status" enum:"success,fail_continue,fail" doc:"success and fail_continue let the flow go on, with the outcome done or failed; with fail the step fails."`
	Outputs map[string]any `json:"outputs,omitempty" doc:"What later steps see of the step. At most 4 KiB."`
	Error   string         `json:"error,omitempty" maxLength:"4000" doc:"Why it failed."`
}

// callbackPrefix lets scanners of sources find a token.
const callbackPrefix = "rcb_"

// NewCallbackToken spells the token of random bytes under which an answer comes in, with the digest by
// which it is known.
func NewCallbackToken(random [32]byte) (token string, digest [32]byte) {
	token = callbackPrefix + base64.RawURLEncoding.EncodeToString(random[:])
	digest, _ = CallbackDigest(token)
	return token, digest
}

// CallbackDigest is the digest by which a token is known. It says false to what cannot be one.
func CallbackDigest(token string) (digest [32]byte, ok bool) {
	secret, ok := strings.CutPrefix(token, callbackPrefix)
	if !ok || len(secret) != 43 {
		return digest, false
	}
	return sha256.Sum256([]byte("rollcall callback\x00" + token)), true
}
