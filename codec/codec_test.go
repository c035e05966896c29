package codec_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"rollcall/codec"
)

func key(letter string) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(letter, 32)))
}

func with(t *testing.T, keys ...string) *codec.Codec {
	t.Helper()
	c, err := codec.New(keys)
	require.NoError(t, err)
	return c
}

func payload(text string) *commonpb.Payload {
	return &commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: []byte(text)}
}

func encode(t *testing.T, c *codec.Codec, p *commonpb.Payload) *commonpb.Payload {
	t.Helper()
	encoded, err := c.Encode([]*commonpb.Payload{p})
	require.NoError(t, err)
	return encoded[0]
}

func TestWhatIsEncodedIsDecoded(t *testing.T) {
	t.Parallel()
	codecs := []*codec.Codec{with(t), with(t, key("a")), with(t, key("b"), key("a"))}
	rapid.Check(t, func(r *rapid.T) {
		c := rapid.SampledFrom(codecs).Draw(r, "codec")
		p := payload(strings.Repeat(rapid.String().Draw(r, "text"), rapid.IntRange(0, 300).Draw(r, "times")))
		encoded, err := c.Encode([]*commonpb.Payload{p})
		require.NoError(r, err)
		decoded, err := c.Decode(encoded)
		require.NoError(r, err)
		require.True(r, proto.Equal(p, decoded[0]))
	})
}

func TestSmallPayloadsStayReadableAndLargeOnesShrink(t *testing.T) {
	t.Parallel()
	c := with(t)
	small := payload(`{"status": "completed"}`)
	require.True(t, proto.Equal(small, encode(t, c, small)))
	large := payload(strings.Repeat(`{"id": "hello", "kind": "action"}`, 400))
	require.Less(t, proto.Size(encode(t, c, large)), proto.Size(large)/5)
}

func TestEncryptedPayloadsSayNothing(t *testing.T) {
	t.Parallel()
	c := with(t, key("a"))
	p := encode(t, c, payload("ada@example.com"))
	text, err := proto.Marshal(p)
	require.NoError(t, err)
	require.NotContains(t, string(text), "ada")
	require.Equal(t, "binary/encrypted", string(p.Metadata["encoding"]))
	require.NotEqual(t, p.Data, encode(t, c, payload("ada@example.com")).Data, "each has a nonce of its own")
}

func TestKeysAreRotated(t *testing.T) {
	t.Parallel()
	old := encode(t, with(t, key("a")), payload("x"))
	_, err := with(t, key("b"), key("a")).Decode([]*commonpb.Payload{old})
	require.NoError(t, err)
	_, err = with(t, key("b")).Decode([]*commonpb.Payload{old})
	require.ErrorIs(t, err, codec.ErrUnknownKey)
	_, err = with(t).Decode([]*commonpb.Payload{old})
	require.ErrorIs(t, err, codec.ErrUnknownKey)
	plain := payload("from before there were keys")
	decoded, err := with(t, key("a")).Decode([]*commonpb.Payload{plain})
	require.NoError(t, err)
	require.True(t, proto.Equal(plain, decoded[0]))
}

func TestBrokenPayloadsAreRefused(t *testing.T) {
	t.Parallel()
	c := with(t, key("a"))
	for at := range 40 {
		p := encode(t, c, payload("x"))
		p.Data[at%len(p.Data)] ^= 1
		_, err := c.Decode([]*commonpb.Payload{p})
		require.ErrorIs(t, err, codec.ErrBroken)
	}
	for _, data := range [][]byte{nil, {1, 2, 3}, []byte(strings.Repeat("\xff", 100))} {
		for _, encoding := range []string{"binary/deflate", "binary/encrypted"} {
			p := &commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte(encoding)}, Data: data}
			_, err := c.Decode([]*commonpb.Payload{p})
			require.Error(t, err)
		}
	}
}

func TestKeysThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "x", base64.StdEncoding.EncodeToString([]byte("short")), strings.Repeat("a", 44)} {
		_, err := codec.New([]string{key("a"), text})
		require.ErrorContains(t, err, "key 2 is not 32 bytes in base64")
	}
}
