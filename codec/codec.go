// Package codec keeps the payloads of Temporal small, and unreadable to everybody who has no key.
//
// Floor 1. What Temporal stores of an enrollment is its program, where it stands, and how it ended.
// Large payloads are compressed; where there are keys, every payload is encrypted.
package codec

import (
	"bytes"
	"compress/flate"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"
)

const (
	compressed = "binary/deflate"
	encrypted  = "binary/encrypted"
	keyIDField = "encryption-key-id"

	// readable is how large a payload is at most that stays as it is, so that people can read it in
	// Temporal's Web UI; worthCompressing is that of one that they cannot read anyway.
	readable         = 8 << 10
	worthCompressing = 1 << 10
	// largest is how large a compressed payload may become: no more than Temporal takes.
	largest = 8 << 20
)

// Errors of Decode.
var (
	// ErrUnknownKey is returned when a payload was encrypted with a key that is not known.
	ErrUnknownKey = errors.New("the payload was encrypted with an unknown key")
	// ErrBroken is returned when a payload is not what was encoded.
	ErrBroken = errors.New("the payload is broken")
)

// Codec encodes and decodes payloads. It is safe for concurrent use.
type Codec struct {
	current string // the id of the key that encrypts; "": nothing is encrypted
	keys    map[string]cipher.AEAD
}

// New makes a codec. The first of the keys encrypts, all of them decrypt; without any, payloads are only
// compressed. A key is 32 random bytes in base64.
func New(keys []string) (*Codec, error) {
	c := &Codec{keys: map[string]cipher.AEAD{}}
	for i, text := range keys {
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(key) != 32 {
			return nil, fmt.Errorf("key %d is not 32 bytes in base64", i+1)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		sum := sha256.Sum256(append([]byte("rollcall payload key\x00"), key...))
		id := hex.EncodeToString(sum[:6])
		c.keys[id] = aead
		if i == 0 {
			c.current = id
		}
	}
	return c, nil
}

// DataConverter is the SDK's with the codec around it.
func (c *Codec) DataConverter() converter.DataConverter {
	return converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), c)
}

// Encrypts reports whether there is a key.
func (c *Codec) Encrypts() bool { return c.current != "" }

// Encode implements converter.PayloadCodec.
func (c *Codec) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	encoded := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		var err error
		if encoded[i], err = c.encode(p); err != nil {
			return nil, err
		}
	}
	return encoded, nil
}

func (c *Codec) encode(p *commonpb.Payload) (*commonpb.Payload, error) {
	if size := proto.Size(p); size > readable || c.current != "" && size > worthCompressing {
		plain, err := proto.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("write payload: %w", err)
		}
		var small bytes.Buffer
		w, _ := flate.NewWriter(&small, flate.DefaultCompression) // the level is one that there is
		if _, err := w.Write(plain); err != nil {
			return nil, fmt.Errorf("compress payload: %w", err)
		}
		if err := w.Close(); err != nil {
			return nil, fmt.Errorf("compress payload: %w", err)
		}
		if small.Len() < len(plain)*9/10 {
			p = wrapped(compressed, small.Bytes())
		}
	}
	if c.current == "" {
		return p, nil
	}
	plain, err := proto.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("write payload: %w", err)
	}
	aead := c.keys[c.current]
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	_, _ = rand.Read(nonce) // never fails
	p = wrapped(encrypted, aead.Seal(nonce, nonce, plain, []byte(c.current)))
	p.Metadata[keyIDField] = []byte(c.current)
	return p, nil
}

func wrapped(encoding string, data []byte) *commonpb.Payload {
	return &commonpb.Payload{Metadata: map[string][]byte{converter.MetadataEncoding: []byte(encoding)}, Data: data}
}

// Decode implements converter.PayloadCodec. What was never encoded passes, so that histories from before
// there was a key go on.
func (c *Codec) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	decoded := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		var err error
		if decoded[i], err = c.decode(p); err != nil {
			return nil, err
		}
	}
	return decoded, nil
}

func (c *Codec) decode(p *commonpb.Payload) (*commonpb.Payload, error) {
	if string(p.GetMetadata()[converter.MetadataEncoding]) == encrypted {
		id := string(p.Metadata[keyIDField])
		aead := c.keys[id]
		if aead == nil {
			return nil, fmt.Errorf("%w: %q", ErrUnknownKey, id)
		}
		n := aead.NonceSize()
		if len(p.Data) < n {
			return nil, ErrBroken
		}
		plain, err := aead.Open(nil, p.Data[:n], p.Data[n:], []byte(id))
		if err != nil {
			return nil, ErrBroken
		}
		if p, err = unwrap(plain); err != nil {
			return nil, err
		}
	}
	if string(p.GetMetadata()[converter.MetadataEncoding]) != compressed {
		return p, nil
	}
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(p.Data)), largest+1))
	if err != nil || len(plain) > largest {
		return nil, ErrBroken
	}
	return unwrap(plain)
}

func unwrap(plain []byte) (*commonpb.Payload, error) {
	p := &commonpb.Payload{}
	if err := proto.Unmarshal(plain, p); err != nil {
		return nil, ErrBroken
	}
	return p, nil
}
