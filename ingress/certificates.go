package ingress

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"github.com/stationmaster/worker/internal/snssign"
)

const (
	// fetchTimeout bounds one fetch: SNS waits for the answer meanwhile.
	fetchTimeout = 4 * time.Second
	// maxCertificate bounds its answer.
	maxCertificate = 64 << 10
	// refetchAfter is how long a certificate is kept without another look, which must succeed only if
	// somebody answers; tellAgainAfter is how long an error is: less than SNS's usual 20 s until its next
	// try.
	refetchAfter   = 24 * time.Hour
	tellAgainAfter = 10 * time.Second
)

// certificates fetches certificates and keeps them. Whoever invents names of certificates can make it
// ask for some that do not exist: few, and none that is known suffers from it.
type certificates struct {
	client *http.Client
	limit  *rate.Limiter
	flight singleflight.Group
	known  *lru.Cache[string, kept]
	failed *lru.Cache[string, kept]
}

type kept struct {
	certificate *x509.Certificate
	err         error
	until       time.Time
}

func newCertificates(carrier http.RoundTripper) (*certificates, error) {
	const most = 32
	c := &certificates{
		client: &http.Client{
			Transport: carrier, Timeout: fetchTimeout,
			// SNS redirects nobody, and where to is not ours to follow.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		limit: rate.NewLimiter(1, 8),
	}
	var err error
	if c.known, err = lru.New[string, kept](most); err != nil {
		return nil, err
	}
	c.failed, err = lru.New[string, kept](most)
	return c, err
}

// get returns the certificate at a URL, which must be one that snssign.Place made.
func (c *certificates) get(ctx context.Context, url string) (*x509.Certificate, error) {
	for _, cache := range []*lru.Cache[string, kept]{c.known, c.failed} {
		if k, ok := cache.Get(url); ok && time.Now().Before(k.until) {
			return k.certificate, k.err
		}
	}
	fetched := c.flight.DoChan(url, func() (any, error) {
		return c.fetch(context.WithoutCancel(ctx), url)
	})
	select {
	case r := <-fetched:
		certificate, _ := r.Val.(*x509.Certificate)
		return certificate, r.Err
	case <-ctx.Done():
		return nil, fmt.Errorf("fetch %s: %w", url, ctx.Err())
	}
}

func (c *certificates) fetch(ctx context.Context, url string) (*x509.Certificate, error) {
	old, _ := c.known.Get(url)
	if !c.limit.Allow() {
		if old.certificate != nil {
			return old.certificate, nil
		}
		return nil, fmt.Errorf("fetch %s: %w: too many were asked for", url, snssign.ErrCertificate)
	}
	certificate, err := c.request(ctx, url)
	if err != nil {
		err = fmt.Errorf("fetch %s: %w", url, err)
		if old.certificate != nil && !errors.Is(err, snssign.ErrCertificate) { // nobody has taken it away
			c.known.Add(url, kept{certificate: old.certificate, until: time.Now().Add(tellAgainAfter)})
			return old.certificate, nil
		}
		c.known.Remove(url)
		c.failed.Add(url, kept{err: err, until: time.Now().Add(tellAgainAfter)})
		return nil, err
	}
	c.known.Add(url, kept{certificate: certificate, until: time.Now().Add(refetchAfter)})
	return certificate, nil
}

func (c *certificates) request(ctx context.Context, url string) (*x509.Certificate, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := c.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusInternalServerError {
		return nil, fmt.Errorf("the answer is %s", response.Status)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: the answer is %s", snssign.ErrCertificate, response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxCertificate+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxCertificate {
		return nil, fmt.Errorf("%w: the answer has more than %d bytes", snssign.ErrCertificate, maxCertificate)
	}
	return snssign.ReadCertificate(text)
}
