package connect

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// Guard says which destinations may be reached. The zero Guard lets through public addresses by
// https on port 443 and nothing else.
type Guard struct {
	// Allow lists networks that are let through although they are private, on every port.
	Allow []netip.Prefix
	// AllowAddrs lists single addresses that are let through whatever their network, port and
	// scheme: the development world.
	AllowAddrs []netip.AddrPort
	// AllowHTTP lets plain http through too, on port 80 unless Ports says otherwise.
	AllowHTTP bool
	// Ports lists the ports that may be reached. Empty means 443, and 80 where AllowHTTP is set.
	Ports []uint16
	// AnyPort lets every port through and makes Ports meaningless.
	AnyPort bool
	// ConnectTimeout limits a connection and, once more, its TLS handshake. 0 means 3 s.
	ConnectTimeout time.Duration
	// Timeout limits an HTTP request from its dial to the last byte of its answer. 0 means 30 s.
	Timeout time.Duration
	// PerHost limits the HTTP requests to one destination at a time. 0 means 16.
	PerHost int
	// RootCAs are the authorities to trust, nil means the system's.
	RootCAs *x509.CertPool
	// Resolver resolves host names, nil means Go's own with the system's configuration.
	Resolver *net.Resolver
}

// Dialer opens connections to the destinations that its Guard lets through. It judges the
// resolved address at the moment of each dial, so a name that changes its mind is caught. It is
// safe for concurrent use.
type Dialer struct{ net net.Dialer }

// NewDialer returns the Dialer of a guard. Mail takes it with the SMTP ports.
func NewDialer(g Guard) *Dialer { return newDialer(g, false) }

// newDialer with listedOnly reaches AllowAddrs alone.
func newDialer(g Guard, listedOnly bool) *Dialer {
	check := g.check(listedOnly)
	resolver := g.Resolver
	if resolver == nil {
		// The C library's resolver reads 0x7f.1 and 2130706433 as addresses; Go's does not.
		resolver = &net.Resolver{PreferGo: true}
	}
	return &Dialer{net: net.Dialer{
		Timeout:   orDefault(g.ConnectTimeout, 3*time.Second),
		KeepAlive: 30 * time.Second,
		Resolver:  resolver,
		Control:   func(network, address string, _ syscall.RawConn) error { return check(network, address) },
	}}
}

// DialContext connects as net.Dialer does. Its errors are judged; a destination that is not let
// through is a permanent error of class Blocked, and no packet is sent to it.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.net.DialContext(ctx, network, address)
	if err != nil {
		return nil, Judge(err)
	}
	return conn, nil
}

// check returns the judgement over resolved addresses.
func (g Guard) check(listedOnly bool) func(network, address string) error {
	guardian := ssrf.New(ssrf.WithPorts(g.ports()...))
	listed := make([]netip.AddrPort, len(g.AllowAddrs))
	for i, a := range g.AllowAddrs {
		listed[i] = unmap(a)
	}
	return func(network, address string) error {
		to, err := netip.ParseAddrPort(address)
		if err == nil && slices.Contains(listed, unmap(to)) {
			return nil
		}
		if listedOnly {
			return fmt.Errorf("%w: plain http to %s", ssrf.ErrProhibitedNetwork, address)
		}
		inside := func(p netip.Prefix) bool { return p.Contains(to.Addr().Unmap()) }
		if err == nil && slices.ContainsFunc(g.Allow, inside) {
			return nil
		}
		return guardian.Safe(network, address, nil)
	}
}

// ports returns the ports to let through, nil for all of them.
func (g Guard) ports() []uint16 {
	switch {
	case g.AnyPort:
		return nil
	case len(g.Ports) > 0:
		return g.Ports
	case g.AllowHTTP:
		return []uint16{443, 80}
	}
	return []uint16{443}
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d <= 0 {
		return fallback
	}
	return d
}
