package outbound

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// ParseURL reads a setting that holds a URL to post to. Its errors name the setting, never the URL.
// An address written out is checked here too, so that a worker says at start what no message could
// mend; names are checked when they are dialled.
func ParseURL(setting, raw string, allowPrivate bool) (*url.URL, error) {
	if raw == "" {
		return nil, fmt.Errorf("%s: not set: give the URL to post to", setting)
	}
	u, err := url.Parse(raw)
	if err != nil {
		// What net/url says may quote a piece of a password.
		return nil, fmt.Errorf("%s: not a URL: must be like https://example.com/path", setting)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%s: scheme %q: must be http or https", setting, u.Scheme)
	case u.Hostname() == "":
		return nil, fmt.Errorf("%s: has no host", setting)
	case u.User != nil:
		return nil, fmt.Errorf("%s: holds credentials, and settings of this kind are shown: leave them out", setting)
	}
	if allowPrivate {
		return u, nil
	}
	if err := checkHost(u.Hostname()); err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	return u, nil
}

func checkHost(host string) error {
	if addr, err := netip.ParseAddr(host); err == nil {
		return Check(addr)
	}
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return errors.New("localhost is loopback; allow_private = true allows it")
	}
	return nil
}
