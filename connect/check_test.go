package connect

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The guard is asked without a dial, so that nothing leaves the machine.
func TestGuardLetsPublicAddressesThrough(t *testing.T) {
	t.Parallel()
	check := Guard{AllowHTTP: true}.check(false)
	for _, address := range []string{"8.8.8.8:443", "8.8.8.8:80", "[2001:4860:4860::8888]:443"} {
		network := "tcp4"
		if address[0] == '[' {
			network = "tcp6"
		}
		require.NoError(t, check(network, address), address)
	}
	require.Error(t, check("tcp4", "8.8.8.8:8080"), "another port")
}
