package automation

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// TokenForm is a kind of secrets that stand in addresses: a prefix, by which scanners of sources find
// them, and 43 characters of base64url for 32 random bytes. They are known by digests that no other kind
// shares.
type TokenForm struct{ prefix, purpose string }

// The kinds of tokens.
var (
	HookTokens     = TokenForm{"rch_", "rollcall hook token"} // of deliveries to a hook
	CallbackTokens = TokenForm{"rcb_", "rollcall callback"}   // of answers to a call
)

// New spells a token of random bytes, with the digest by which it is known.
func (f TokenForm) New(random [32]byte) (text string, digest [32]byte) {
	text = f.prefix + base64.RawURLEncoding.EncodeToString(random[:])
	digest, _ = f.Digest(text)
	return text, digest
}

// Digest is the digest by which a token is known. It says false to what cannot be a token of this kind.
func (f TokenForm) Digest(text string) (digest [32]byte, ok bool) {
	secret, ok := strings.CutPrefix(text, f.prefix)
	if !ok || len(secret) != secretLength {
		return digest, false
	}
	if _, err := base64.RawURLEncoding.Strict().DecodeString(secret); err != nil {
		return digest, false
	}
	return sha256.Sum256([]byte(f.purpose + "\x00" + text)), true
}
