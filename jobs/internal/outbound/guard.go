package outbound

import (
	"fmt"
	"net/netip"
	"syscall"
)

// RefusedError says that a request would have gone to an address that is nobody's on the internet.
type RefusedError struct {
	Addr netip.Addr
	Why  string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("address %s is refused: %s; allow_private = true allows it", e.Addr, e.Why)
}

// Class names the failure in a failure record.
func (e *RefusedError) Class() string { return "refused_address" }

// Source: IANA's special-purpose address registries for IPv4 and IPv6, and the addresses at which
// clouds serve instance metadata.
var (
	special4 = []block{
		{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},
		{netip.MustParsePrefix("10.0.0.0/8"), "private"},
		{netip.MustParsePrefix("100.64.0.0/10"), "shared by a carrier's NAT"},
		{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
		{netip.MustParsePrefix("168.63.129.16/32"), "instance metadata (Azure)"},
		{netip.MustParsePrefix("169.254.0.0/16"), "link-local, where instance metadata is served"},
		{netip.MustParsePrefix("172.16.0.0/12"), "private"},
		{netip.MustParsePrefix("192.0.0.0/24"), "reserved for protocols"},
		{netip.MustParsePrefix("192.0.2.0/24"), "for documentation"},
		{netip.MustParsePrefix("192.88.99.0/24"), "a 6to4 relay"},
		{netip.MustParsePrefix("192.168.0.0/16"), "private"},
		{netip.MustParsePrefix("198.18.0.0/15"), "for benchmarks"},
		{netip.MustParsePrefix("198.51.100.0/24"), "for documentation"},
		{netip.MustParsePrefix("203.0.113.0/24"), "for documentation"},
		{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
		{netip.MustParsePrefix("255.255.255.255/32"), "broadcast"},
		{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},
	}
	special6 = []block{
		{netip.MustParsePrefix("::/128"), "unspecified"},
		{netip.MustParsePrefix("::1/128"), "loopback"},
		{netip.MustParsePrefix("fc00::/7"), "private (unique local)"},
		{netip.MustParsePrefix("fe80::/10"), "link-local"},
		{netip.MustParsePrefix("ff00::/8"), "multicast"},
		{netip.MustParsePrefix("2001:db8::/32"), "for documentation"},
		{netip.MustParsePrefix("3fff::/20"), "for documentation"},
		{netip.MustParsePrefix("2001::/23"), "reserved for protocols"}, // Teredo too, which hides an IPv4 address
		{netip.MustParsePrefix("2002::/16"), "6to4, which hides an IPv4 address"},
	}
	// global6 is all of IPv6 that has been given out for use on the internet; what is outside it
	// needs no entry above to be refused.
	global6 = netip.MustParsePrefix("2000::/3")
	// nat64 addresses reach the IPv4 address in their last four bytes (RFC 6052).
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
)

type block struct {
	prefix netip.Prefix
	why    string
}

// Check returns a *RefusedError when an address is not one of the public internet: loopback,
// link-local, private, shared, multicast, reserved, or one that leads to such an address.
func Check(addr netip.Addr) error {
	if why := special(addr.WithZone("").Unmap()); why != "" {
		return &RefusedError{Addr: addr, Why: why}
	}
	return nil
}

func special(addr netip.Addr) string {
	if !addr.IsValid() {
		return "no address"
	}
	if nat64.Contains(addr) {
		b := addr.As16()
		return special(netip.AddrFrom4([4]byte(b[12:])))
	}
	blocks := special6
	if addr.Is4() {
		blocks = special4
	}
	for _, b := range blocks {
		if b.prefix.Contains(addr) {
			return b.why
		}
	}
	if addr.Is6() && !global6.Contains(addr) {
		return "not a global address"
	}
	return ""
}

// control runs for each address that a dialer tries, when the name is resolved and before the
// connection is made: no second lookup can come between check and use.
func control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %s: not an address: %w", address, err)
	}
	return Check(to.Addr())
}
