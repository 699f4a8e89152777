package outbound_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/stationmaster/worker/jobs/internal/outbound"
)

func TestCheckRefusesWhatIsNotThePublicInternet(t *testing.T) {
	for addr, why := range map[string]string{
		"127.0.0.1": "loopback", "127.255.255.254": "loopback", "::1": "loopback",
		"0.0.0.0": "unspecified", "0.1.2.3": "unspecified", "::": "unspecified",
		"10.0.0.1": "private", "172.16.0.1": "private", "172.31.255.255": "private", "192.168.1.1": "private",
		"fc00::1": "unique local", "fd00:ec2::254": "unique local",
		"169.254.169.254": "metadata", "169.254.170.2": "metadata", "168.63.129.16": "metadata", "fe80::1": "link-local",
		"fe80::1%eth0": "link-local",
		"100.64.0.1":   "carrier", "100.100.100.200": "carrier", "100.127.255.255": "carrier",
		"192.0.0.192": "reserved", "240.0.0.1": "reserved", "255.255.255.255": "broadcast",
		"224.0.0.1": "multicast", "239.255.255.250": "multicast", "ff02::1": "multicast",
		"192.0.2.1": "documentation", "198.51.100.1": "documentation", "203.0.113.1": "documentation",
		"2001:db8::1": "documentation", "3fff::1": "documentation",
		"198.18.0.1": "benchmarks", "198.19.255.255": "benchmarks", "192.88.99.1": "6to4",
		// IPv4 in the clothes of IPv6.
		"::ffff:127.0.0.1": "loopback", "::ffff:169.254.169.254": "metadata", "::ffff:10.0.0.1": "private",
		"64:ff9b::127.0.0.1": "loopback", "64:ff9b::a9fe:a9fe": "metadata", "64:ff9b::10.0.0.1": "private",
		"64:ff9b:1::1": "not a global", "::127.0.0.1": "not a global", "2002:7f00:1::": "6to4", "2001:0:7f00:1::": "protocols",
		"fec0::1": "not a global", "100::1": "not a global", "4000::1": "not a global",
	} {
		err := outbound.Check(netip.MustParseAddr(addr))
		refused, ok := errors.AsType[*outbound.RefusedError](err)
		if !ok || !strings.Contains(refused.Why, why) {
			t.Errorf("Check(%s) = %v, want a refusal for %q", addr, err, why)
		}
	}
}

func TestCheckLetsThePublicInternetPass(t *testing.T) {
	for _, addr := range []string{
		"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
		"169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0",
		"198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700::1111", "2a00:1450::1", "2001:4860:4860::8888",
		"::ffff:1.1.1.1", "64:ff9b::1.1.1.1",
	} {
		if err := outbound.Check(netip.MustParseAddr(addr)); err != nil {
			t.Errorf("Check(%s) = %v, want nil", addr, err)
		}
	}
}

func TestCheckRefusesNoAddress(t *testing.T) {
	if err := outbound.Check(netip.Addr{}); err == nil {
		t.Error("Check of the zero address = nil")
	}
}

func TestParseURL(t *testing.T) {
	for _, row := range []struct {
		raw     string
		private bool
		want    string
	}{
		{"https://hooks.example.com/x?y=1", false, ""},
		{"http://127.0.0.1:8080/x", true, ""},
		{"http://127.0.0.1:8080/x", false, "url: address 127.0.0.1 is refused: loopback; allow_private = true allows it"},
		{"http://[::1]/x", false, "url: address ::1 is refused: loopback; allow_private = true allows it"},
		{"http://localhost/x", false, "url: localhost is loopback; allow_private = true allows it"},
		{"http://a.LOCALHOST./x", false, "url: localhost is loopback; allow_private = true allows it"},
		{"", false, "url: not set: give the URL to post to"},
		{"ftp://example.com", false, `url: scheme "ftp": must be http or https`},
		{"example.com/x", false, `url: scheme "": must be http or https`},
		{"https:///x", false, "url: has no host"},
		{"http://hunter:pass2@example.com/", false, "url: holds credentials, and settings of this kind are shown: leave them out"},
		{"http://hunter:pa#ss2@example.com/", false, "url: not a URL: must be like https://example.com/path"},
	} {
		_, err := outbound.ParseURL("url", row.raw, row.private)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != row.want {
			t.Errorf("ParseURL(%q, %v): %q, want %q", row.raw, row.private, got, row.want)
		}
	}
}
