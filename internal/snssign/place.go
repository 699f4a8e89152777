package snssign

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// ErrPlace says that a message names a certificate in a place that is not SNS's.
var ErrPlace = errors.New("the certificate is not where SNS keeps its own")

// ErrForm says that a message is signed in a form that this worker does not know, and that SNS may come
// to use: nothing proves it, and nothing proves that it is forged.
var ErrForm = errors.New("this worker does not know this form, a later version may")

// suffixes are the domains of AWS's partitions. Source: the partitions of the AWS SDK.
var suffixes = map[string]string{
	"aws": "amazonaws.com", "aws-us-gov": "amazonaws.com", "aws-cn": "amazonaws.com.cn", "aws-eusc": "amazonaws.eu",
	"aws-iso": "c2s.ic.gov", "aws-iso-b": "sc2s.sgov.gov", "aws-iso-e": "cloud.adc-e.uk", "aws-iso-f": "csp.hci.ic.gov",
}

// others are domains of AWS's endpoints that no signature comes from: those that speak IPv6 too.
var others = []string{"api.aws", "api.amazonwebservices.com.cn", "api.amazonwebservices.eu"}

// IsAWS tells a host of AWS, of whichever partition, from one of a server that stands for it.
func IsAWS(host string) bool {
	host = "." + strings.ToLower(host)
	for _, suffix := range suffixes {
		if strings.HasSuffix(host, "."+suffix) {
			return true
		}
	}
	return slices.ContainsFunc(others, func(suffix string) bool { return strings.HasSuffix(host, "."+suffix) })
}

var (
	regionForm = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}$`)
	fileForm   = regexp.MustCompile(`^SimpleNotificationService-[0-9a-f]{32}\.pem$`)
)

// Place is where the certificate of a topic's messages may be fetched.
type Place struct {
	// base is compared and fetched from; at a server that is not AWS a path may follow it.
	base  string
	local *url.URL
}

// PlaceOf is AWS's own place for a topic. The host is made of the topic's region and partition, never
// matched by a pattern: any that is loose enough for all regions also takes sns.s3-us-west-2.amazonaws.com,
// which is somebody's bucket with the name sns.
func PlaceOf(topicARN string) (Place, error) {
	parts := strings.Split(topicARN, ":")
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "sns" || !regionForm.MatchString(parts[3]) {
		return Place{}, fmt.Errorf("topic %q: must be arn:PARTITION:sns:REGION:ACCOUNT:NAME", topicARN)
	}
	suffix, known := suffixes[parts[1]]
	if !known {
		return Place{}, fmt.Errorf("topic %q: its partition %q is unknown", topicARN, parts[1])
	}
	return Place{base: "https://sns." + parts[3] + "." + suffix + "/"}, nil
}

// PlaceAt is the place of a server that stands for AWS, by its endpoint.
func PlaceAt(endpoint string) (Place, error) {
	u, err := url.Parse(endpoint)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return Place{}, fmt.Errorf("endpoint %q: must be http(s)://HOST[:PORT]", endpoint)
	}
	return Place{base: u.Scheme + "://" + u.Host + "/", local: u}, nil
}

// Certificate returns the URL to fetch for a SigningCertURL. It is made of the place and of a name of
// the right form; of what the message says only that name goes into it. The error wraps ErrPlace, and
// ErrForm too where AWS, or the server that stands for it, owns the host that is named.
func (p Place) Certificate(signingCertURL string) (string, error) {
	path, ok := strings.CutPrefix(signingCertURL, p.base)
	if !ok && p.local != nil {
		path, ok = p.alias(signingCertURL)
	}
	switch {
	case !ok && p.local == nil && belowAWS(signingCertURL):
		return "", fmt.Errorf("%w: it must be below %s: %w", ErrPlace, p.base, ErrForm)
	case !ok:
		return "", fmt.Errorf("%w: it must be below %s", ErrPlace, p.base)
	}
	name := path
	if p.local != nil { // LocalStack has its own below a path
		name = strings.TrimPrefix(path, "_aws/sns/")
	}
	if !fileForm.MatchString(name) {
		return "", fmt.Errorf("%w: it must be called SimpleNotificationService-(32 hex digits).pem: %w", ErrPlace, ErrForm)
	}
	return p.base + path, nil
}

// belowAWS tells a URL that SNS may come to write, of another form of region or domain, from one that it
// never will. A bucket of anybody is below AWS too, so this says nothing about who wrote the message.
func belowAWS(signingCertURL string) bool {
	u, err := url.Parse(signingCertURL)
	return err == nil && u.Scheme == "https" && u.User == nil && u.Port() == "" && IsAWS(u.Hostname())
}

// alias takes another name of this machine for the endpoint's, with the same port: a local server is
// asked under one name by whoever publishes and under another one by us. It is the endpoint that is
// fetched from.
func (p Place) alias(signingCertURL string) (path string, ok bool) {
	scheme, rest, _ := strings.Cut(signingCertURL, "://")
	host, path, found := strings.Cut(rest, "/")
	name, port, err := net.SplitHostPort(host)
	if !found || err != nil || scheme != p.local.Scheme || port != p.local.Port() {
		return "", false
	}
	return path, loopback(name) && loopback(p.local.Hostname())
}

func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || host == "localhost.localstack.cloud" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
