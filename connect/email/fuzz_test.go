package email_test

import (
	netmail "net/mail"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"rollcall/connect"
	"rollcall/connect/email"
)

// FuzzAddress checks any address. A good one is one address to the standard library, too, and neither
// header nor envelope can be left from within it.
func FuzzAddress(f *testing.F) {
	for _, address := range []string{
		"ada@example.com", "a.b+c@sub.example.com", "ada@bücher.example", "", "ada", "@example.com", "ada@", "ada@@example.com", "ada@example", "ada@example.com\n", "ada@example.com,bob@example.com",
		"Ada <ada@example.com>", `"a b"@example.com`, "ada@[127.0.0.1]", "ada@127.0.0.1", "ada@exa mple.com", "a..b@example.com", ".a@example.com", "ada@-example.com", "ädä@example.com",
		"ada@example.com\r\nBcc: bob@example.com", "group:ada@example.com;", "ada@１２７.０.０.１", strings.Repeat("a", 65) + "@example.com", "ada@" + strings.Repeat("a.", 130) + "com", "ada@example.com.",
	} {
		f.Add(address)
	}
	f.Fuzz(func(t *testing.T, address string) {
		if !utf8.ValidString(address) {
			return // no text gets as far as this that is not
		}
		err := email.CheckAddress(address)
		if err != nil {
			require.True(t, connect.IsPermanent(err))
			require.Equal(t, connect.Invalid, connect.Class(err))
			require.Less(t, len(err.Error()), 100, "it does not repeat the address")
			return
		}
		require.LessOrEqual(t, len(address), 254)
		require.False(t, strings.ContainsAny(address, " \t\r\n\x00<>,;:\"()[]\\"))
		parsed, err := netmail.ParseAddress(address)
		require.NoError(t, err)
		require.Equal(t, netmail.Address{Address: address}, *parsed)
	})
}

// FuzzID makes ids of messages of any key: they may stand in a Message-ID, and different keys have
// different ones.
func FuzzID(f *testing.F) {
	f.Add("welcome/u_42/1:hello", "welcome/u_42/2:hello")
	f.Add("a b", "a-b")
	f.Add(strings.Repeat("x", 129), "")
	f.Add("k.00", "a..b")
	f.Fuzz(func(t *testing.T, key, other string) {
		id := email.ID(key)
		require.LessOrEqual(t, len(id), 128)
		_, err := netmail.ParseAddress(id + "@example.com")
		require.NoError(t, err)
		require.Equal(t, key == other, id == email.ID(other))
	})
}
