// Package secrets keeps what must not be read at rest: it seals the credentials of connections, each
// bound to what it is a secret of, under keys that live outside of the database.
//
// Floor 1. The keys are a Tink keyset, which an operator makes once, keeps in a file or in the
// environment, and rotates.
package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

var (
	// ErrKeyset is returned for a text that is no keyset for this purpose.
	ErrKeyset = errors.New(`it is no keyset; "rollcall secrets new" makes one`)
	// ErrSealed is returned when a secret cannot be opened: its key is not in the keyset, or it is the
	// secret of something else.
	ErrSealed = errors.New("the secret was sealed with a key that is not in the keyset, or for something else")
)

// Box seals and opens. It is safe for concurrent use.
type Box struct {
	aead    tink.AEAD
	handle  *keyset.Handle
	primary uint32 // the id of the key that seals
}

// New makes a keyset with one key, in its text form.
func New() (string, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return "", fmt.Errorf("make keyset: %w", err)
	}
	return write(handle)
}

// Parse reads a keyset: JSON as Tink writes it, or that in base64. Its errors never hold the keyset.
func Parse(text string) (*Box, error) {
	text = strings.TrimSpace(text)
	if plain, err := base64.StdEncoding.DecodeString(text); err == nil {
		text = string(plain)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(strings.NewReader(text)))
	if err != nil {
		return nil, ErrKeyset
	}
	sealer, err := aead.New(handle)
	if err != nil {
		return nil, ErrKeyset
	}
	entry, err := handle.Primary()
	if err != nil {
		return nil, ErrKeyset
	}
	return &Box{aead: sealer, handle: handle, primary: entry.KeyID()}, nil
}

// Rotated is the text of the keyset with one more key, which seals from now on. The others open what
// they sealed.
func (b *Box) Rotated() (string, error) {
	manager := keyset.NewManagerFromHandle(b.handle)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err == nil {
		err = manager.SetPrimary(id)
	}
	if err != nil {
		return "", fmt.Errorf("rotate keyset: %w", err)
	}
	handle, err := manager.Handle()
	if err != nil {
		return "", fmt.Errorf("rotate keyset: %w", err)
	}
	return write(handle)
}

// Keys is how many keys the keyset has.
func (b *Box) Keys() int { return b.handle.Len() }

// Seal makes a secret unreadable. It can be opened only where the same is said about what it is of.
func (b *Box) Seal(plain []byte, of string) ([]byte, error) {
	sealed, err := b.aead.Encrypt(plain, []byte(of))
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return sealed, nil
}

// Open returns what was sealed, or ErrSealed.
func (b *Box) Open(sealed []byte, of string) ([]byte, error) {
	plain, err := b.aead.Decrypt(sealed, []byte(of))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// Current reports whether the key that seals now has sealed it.
func (b *Box) Current(sealed []byte) bool {
	const tinkPrefix = 1 // then the id of the key, four bytes
	return len(sealed) > 5 && sealed[0] == tinkPrefix && binary.BigEndian.Uint32(sealed[1:5]) == b.primary
}

func write(handle *keyset.Handle) (string, error) {
	var text bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&text)); err != nil {
		return "", fmt.Errorf("write keyset: %w", err)
	}
	return strings.TrimSpace(text.String()), nil
}
