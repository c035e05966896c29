package automation_test

import (
	"encoding/base32"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/automation"
)

// The checksum of a key is public, so anybody can make up one that fits.
func TestAKeyWhoseIDIsNoneOfOursAsksNoDatabase(t *testing.T) {
	t.Parallel()
	sum := base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	spell := func(id string) string {
		body := "rc_" + id + "_" + strings.Repeat("A", 43)
		return body + sum.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(body))))
	}
	id, _, ok := automation.ParseKeyText(spell("abcdefghijklmno2"))
	require.True(t, ok)
	require.Equal(t, "abcdefghijklmno2", id)
	for _, id := range []string{strings.Repeat("\xff", 16), strings.Repeat("\x00", 16), "aaaaaaaa@aaaaaaa", "ABCDEFGHIJKLMNOP"} {
		_, _, ok := automation.ParseKeyText(spell(id))
		require.False(t, ok, "%q", id)
	}
}
