package codec_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"google.golang.org/protobuf/proto"

	"rollcall/codec"
)

// FuzzDecode decodes what nobody encoded. That is broken, or of another key, or it passes as it is; and
// never larger than what Temporal takes.
func FuzzDecode(f *testing.F) {
	deflated := func(p *commonpb.Payload) []byte {
		plain, err := proto.Marshal(p)
		require.NoError(f, err)
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, flate.BestCompression)
		require.NoError(f, err)
		_, err = w.Write(plain)
		require.NoError(f, err)
		require.NoError(f, w.Close())
		return b.Bytes()
	}
	const largest = 8 << 20
	f.Add([]byte("x"), "binary/deflate", "")
	f.Add([]byte{}, "binary/encrypted", "")
	f.Add(deflated(payload("x")), "binary/deflate", "")
	f.Add(append(deflated(payload("x")), 1, 2, 3), "binary/deflate", "")
	f.Add(deflated(payload(strings.Repeat("x", largest+1))), "binary/deflate", "")
	f.Add(deflated(&commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte("binary/deflate")}, Data: deflated(payload("x"))}), "binary/deflate", "")
	f.Add([]byte(`{"a": 1}`), "json/plain", "")
	f.Add(bytes.Repeat([]byte("x"), 40), "binary/encrypted", "0123456789ab")
	f.Fuzz(func(t *testing.T, data []byte, encoding, id string) {
		given := &commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte(encoding), "encryption-key-id": []byte(id)}, Data: data}
		decoded, err := with(t, key("a")).Decode([]*commonpb.Payload{given})
		if err != nil {
			require.True(t, errors.Is(err, codec.ErrBroken) || errors.Is(err, codec.ErrUnknownKey), err)
			return
		}
		require.Len(t, decoded, 1)
		require.NotEqual(t, "binary/encrypted", encoding, "nobody but us can encrypt")
		if encoding != "binary/deflate" {
			require.True(t, proto.Equal(given, decoded[0]))
		}
		require.LessOrEqual(t, proto.Size(decoded[0]), max(largest, proto.Size(given)))
	})
}

// FuzzEncode encodes any payload: it is decoded as it was, and what is spoiled of one that is encrypted is
// broken.
func FuzzEncode(f *testing.F) {
	for _, text := range []string{"", "x", strings.Repeat("x", 2000), strings.Repeat("y", 10_000)} {
		for _, encoding := range []string{"json/plain", "binary/encrypted", ""} {
			f.Add([]byte(text), encoding, uint16(13), byte(1))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, encoding string, at uint16, by byte) {
		if encoding == "binary/deflate" {
			return // what says that it is encoded already, which no converter of the SDK says
		}
		given := &commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte(strings.ToValidUTF8(encoding, "?"))}, Data: data}
		c := with(t, key("b"), key("a"))
		for _, encrypting := range []*codec.Codec{c, with(t, key("a"))} {
			encoded := encode(t, encrypting, given)
			require.Equal(t, "binary/encrypted", string(encoded.Metadata["encoding"]))
			decoded, err := c.Decode([]*commonpb.Payload{encoded})
			require.NoError(t, err)
			require.True(t, proto.Equal(given, decoded[0]))
			if by == 0 {
				continue
			}
			encoded.Data[int(at)%len(encoded.Data)] ^= by
			_, err = c.Decode([]*commonpb.Payload{encoded})
			require.ErrorIs(t, err, codec.ErrBroken)
		}
	})
}
