package automation

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"
)

// Scope is something that an API key may do.
type Scope string

// The scopes.
const (
	UsersRead        Scope = "users:read"
	UsersWrite       Scope = "users:write" // users and their properties
	EventsWrite      Scope = "events:write"
	WorkflowsRead    Scope = "workflows:read"
	WorkflowsWrite   Scope = "workflows:write"   // drafts
	WorkflowsPublish Scope = "workflows:publish" // publish, pause, archive, runs, what the guard holds
	EnrollmentsRead  Scope = "enrollments:read"
	EnrollmentsWrite Scope = "enrollments:write"
	ConnectionsWrite Scope = "connections:write"
	KeysAdmin        Scope = "keys:admin"
)

// Scopes lists all scopes.
func Scopes() []Scope {
	return []Scope{
		UsersRead, UsersWrite, EventsWrite, WorkflowsRead, WorkflowsWrite, WorkflowsPublish,
		EnrollmentsRead, EnrollmentsWrite, ConnectionsWrite, KeysAdmin,
	}
}

// Key is an API key as it is known: the text of the key itself is nowhere.
type Key struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"` // who or what uses it
	Scopes     []Scope    `json:"scopes"`
	CreatedBy  string     `json:"created_by,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`
	RevokedAt  *time.Time `json:"revoked_at,omitempty"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"` // to the minute
}

// May reports whether the key has a scope.
func (k *Key) May(s Scope) bool { return slices.Contains(k.Scopes, s) }

// Valid reports whether the key can be used at an instant.
func (k *Key) Valid(now time.Time) bool {
	return k.RevokedAt == nil && (k.ExpiresAt == nil || now.Before(*k.ExpiresAt))
}

// The text of a key is its prefix, its id, its secret and a checksum, so that scanners of sources find
// one, and a typing error costs no look-up: "rc_" + 16 of a-z2-7 + "_" + 43 of base64url + 7 of a-z2-7.
const (
	keyPrefix    = "rc_"
	keyIDLength  = 16
	secretLength = 43
	sumLength    = 7
	keyLength    = len(keyPrefix) + keyIDLength + 1 + secretLength + sumLength
)

var lower32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewKeyText spells a key of random bytes: 10 for the id, 32 for the secret.
func NewKeyText(random [42]byte) (id, text string) {
	id = lower32.EncodeToString(random[:10])
	body := keyPrefix + id + "_" + base64.RawURLEncoding.EncodeToString(random[10:])
	return id, body + keySum(body)
}

func keySum(body string) string {
	return lower32.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(body))))
}

// ParseKeyText finds the id in the text of a key, and the digest by which it is known. It says false to
// what cannot be a key.
func ParseKeyText(text string) (id string, digest [32]byte, ok bool) {
	if len(text) != keyLength || !strings.HasPrefix(text, keyPrefix) {
		return "", digest, false
	}
	body := text[:len(text)-sumLength]
	if subtle.ConstantTimeCompare([]byte(keySum(body)), []byte(text[len(body):])) != 1 {
		return "", digest, false
	}
	id, secret, divided := strings.Cut(body[len(keyPrefix):], "_")
	if _, err := lower32.DecodeString(id); err != nil || !divided || len(id) != keyIDLength {
		return "", digest, false
	}
	if _, err := base64.RawURLEncoding.DecodeString(secret); err != nil {
		return "", digest, false
	}
	// The secret has 256 random bits, so nothing slower than a hash is needed.
	return id, sha256.Sum256([]byte("rollcall api key\x00" + body)), true
}

// CheckKey says what is wrong with a key that is asked for.
func CheckKey(name string, scopes []Scope) Problems {
	var p Problems
	if name == "" || len(name) > 100 {
		p.Add("/name", "invalid-name", "a key has a name of 1 to 100 bytes: who or what uses it")
	}
	if len(scopes) == 0 {
		p.Add("/scopes", "required", "a key has at least one scope")
	}
	for i, s := range scopes {
		if !slices.Contains(Scopes(), s) {
			p.Add(fmt.Sprintf("/scopes/%d", i), "unknown-scope", "there is no scope %q; known are %v", s, Scopes())
		}
	}
	return p
}
