package world_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/connect"
	"rollcall/connect/webhook"
	"rollcall/devstack/world"
)

// BenchmarkWebhook is a signed webhook from the connector into the outbox and its file.
func BenchmarkWebhook(b *testing.B) {
	w, err := world.Start(world.Config{Dir: b.TempDir()})
	require.NoError(b, err)
	defer func() { require.NoError(b, w.Stop()) }()
	c := connect.NewHTTPClient(connect.Guard{AllowAddrs: []netip.AddrPort{netip.MustParseAddrPort(w.HTTPAddr())}})
	s := webhook.New(c)
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Send(b.Context(), webhook.Request{ID: "k", URL: w.WebhookURL("x"), Body: []byte(`{"a":1}`), Secrets: []string{secret}}); err != nil {
				b.Fatal(err)
			}
		}
	})
	c.CloseIdleConnections()
}
