package secrets_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/secrets"
)

func box(t require.TestingT) (*secrets.Box, string) {
	text, err := secrets.New()
	require.NoError(t, err)
	b, err := secrets.Parse(text)
	require.NoError(t, err)
	return b, text
}

func TestSealedOpensForTheSameThingOnly(t *testing.T) {
	t.Parallel()
	b, _ := box(t)
	other, _ := box(t)
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		of := rapid.String().Draw(t, "of")
		sealed, err := b.Seal(plain, of)
		require.NoError(t, err)
		opened, err := b.Open(sealed, of)
		require.NoError(t, err)
		require.Equal(t, string(plain), string(opened))

		_, err = b.Open(sealed, of+"x")
		require.ErrorIs(t, err, secrets.ErrSealed)
		_, err = other.Open(sealed, of)
		require.ErrorIs(t, err, secrets.ErrSealed)
		broken := append([]byte{}, sealed...)
		broken[rapid.IntRange(0, len(broken)-1).Draw(t, "at")] ^= 1
		_, err = b.Open(broken, of)
		require.ErrorIs(t, err, secrets.ErrSealed)
		if len(plain) > 3 {
			require.NotContains(t, string(sealed), string(plain))
		}
	})
}

func TestRotationOpensTheOldAndSealsWithTheNew(t *testing.T) {
	t.Parallel()
	b, _ := box(t)
	old, err := b.Seal([]byte("token"), "crm")
	require.NoError(t, err)
	require.True(t, b.Current(old))

	text, err := b.Rotated()
	require.NoError(t, err)
	rotated, err := secrets.Parse(text)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2}, []int{b.Keys(), rotated.Keys()})

	require.False(t, rotated.Current(old))
	plain, err := rotated.Open(old, "crm")
	require.NoError(t, err)
	require.Equal(t, "token", string(plain))
	renewed, err := rotated.Seal(plain, "crm")
	require.NoError(t, err)
	require.True(t, rotated.Current(renewed))
	_, err = b.Open(renewed, "crm")
	require.ErrorIs(t, err, secrets.ErrSealed, "a process that was not told of the new key")
}

func TestParseRefusesOtherTextsAndDoesNotRepeatThem(t *testing.T) {
	t.Parallel()
	_, text := box(t)
	_, err := secrets.Parse("\n " + base64.StdEncoding.EncodeToString([]byte(text)) + "\n")
	require.NoError(t, err)
	for _, bad := range []string{"", "{}", "hunter2", text[:len(text)/2], strings.ReplaceAll(text, "AesGcmKey", "HmacKey"), `{"primaryKeyId": 1, "key": []}`} {
		_, err := secrets.Parse(bad)
		require.ErrorIs(t, err, secrets.ErrKeyset, bad)
		require.NotContains(t, err.Error(), "hunter2")
	}
	b, _ := box(t)
	require.False(t, b.Current(nil))
	require.False(t, b.Current([]byte("short")))
}
