package config

import (
	"net"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// Ingress is where this worker takes the deliveries of HTTP subscriptions. It listens only when one of
// the subscriptions is a path.
type Ingress struct {
	Addr string `config:"addr"` // host:port
	// PublicURL is how SNS reaches Addr; the paths of subscriptions are appended to it.
	PublicURL string `config:"public_url"`
	// TLSCert and TLSKey are files in PEM form; both or none. None: something before it speaks TLS.
	TLSCert string `config:"tls_cert"`
	TLSKey  string `config:"tls_key"`

	MaxBody int           `config:"max_body"` // of a request, in bytes
	MaxAge  time.Duration `config:"max_age"`  // of a notification that is believed
	Timeout time.Duration `config:"timeout"`  // of the job of one delivery
}

// Topology is what concerns all of it.
type Topology struct {
	// Owner is the value of the tag "stationmaster" on each queue and topic that apply makes, by which it
	// knows later what it may prune. Empty: no tag, and no queue and no topic is ever deleted.
	Owner string `config:"owner"`
}

func (c *checker) ingress() {
	i := c.config.Ingress
	_, port, err := net.SplitHostPort(i.Addr)
	switch {
	case err != nil:
		c.addf("ingress.addr", `%q must be host:port: write it like "0.0.0.0:8081"`, i.Addr)
	default:
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			c.addf("ingress.addr", "%q must end in a port from 0 to 65535", i.Addr)
		}
	}
	c.publicURL()
	if (i.TLSCert == "") != (i.TLSKey == "") {
		c.addf("ingress.tls_cert", "and tls_key belong together: name both files, or none")
	}
	const leastBody, mostBody = 1 << 10, 1 << 20
	between(c, "ingress.max_body", i.MaxBody, leastBody, mostBody)
	if i.MaxBody >= leastBody && i.MaxBody < usualBody {
		c.warnings.addf("ingress.max_body", "%d is less than %d, which a message of SNS can come to with its escapes and its envelope: a longer one is refused, and SNS does not try again", i.MaxBody, usualBody)
	}
	between(c, "ingress.max_age", i.MaxAge, time.Minute, day)
	if i.MaxAge >= time.Minute && i.MaxAge < time.Hour {
		c.warnings.addf("ingress.max_age", "%s is less than the hour that a delivery policy may retry for: a late retry is refused", quoted(i.MaxAge))
	}
	// SNS gives up after 15 s. Source: "Amazon SNS message delivery retries", Developer Guide.
	between(c, "ingress.timeout", i.Timeout, 100*time.Millisecond, 14*time.Second)
}

// publicURL checks what SNS is told; ok: paths can be appended to it.
func (c *checker) publicURL() {
	const key = "ingress.public_url"
	address := c.config.Ingress.PublicURL
	if address == "" {
		return // needed by a subscription only, which says so
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		c.addf(key, `%q must be a URL: write it like "https://hooks.example.com"`, withoutPassword(address))
	case u.User != nil || strings.ContainsAny(address, "?#"): // also an empty one, which paths would go into
		c.addf(key, `%q must be a scheme, a host and at most a path: write it like "https://hooks.example.com"`, withoutPassword(address))
	case u.Path != "" && path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") && u.Path != "/":
		c.addf(key, `%q must have a plain path, if it has one: write it like "https://example.com/in"`, address)
	}
}

// usualBody takes the largest message of SNS, 256 KiB, with each of its characters escaped, and its envelope.
const usualBody = 2*256<<10 + 16<<10

// URL is the address of a path of this worker, as SNS is told it.
func (i *Ingress) URL(path string) string { return strings.TrimSuffix(i.PublicURL, "/") + path }

// below is where a path is served besides: the path that SNS posts to.
func (i *Ingress) below(path string) string {
	u, err := url.Parse(i.PublicURL)
	if err != nil {
		return path // which is told
	}
	return strings.TrimSuffix(u.Path, "/") + path
}

// publicScheme is http or https; empty when nothing is configured, or nothing right.
func (i *Ingress) publicScheme() string {
	if u, err := url.Parse(i.PublicURL); err == nil {
		return u.Scheme
	}
	return ""
}
