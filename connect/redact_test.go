package connect_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/connect"
)

func TestNothingIsLeftOfASecretThatIsRepeatedOrBeginsWithAnother(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"you sent secretlonger", "you sent [redacted]"},
		{"you sent secret", "you sent [redacted]"},
		{"Bearer Bearer s3cr3tvalue is refused", "[redacted] is refused"},
		{"authorization: bearer s3cr3tvalue", "authorization: [redacted]"},
	} {
		require.Equal(t, tt.want, connect.Redact(tt.text, "secret", "secretlonger"), tt.text)
	}
}
