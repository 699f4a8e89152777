// Package webhook posts each message to a URL, signed by the Standard Webhooks convention: job
// "webhook", settings in [jobs.webhook].
//
// The body is the message's, byte for byte. The header webhook-id holds the message's stable id, the
// same on every retry, so that a receiver can leave out what it has seen. An answer 408, 425, 429 or
// 5xx is tried again, after its Retry-After; any other that is not 2xx is permanent. No redirect is
// followed, and addresses outside the public internet are refused unless allow_private is set.
package webhook

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/internal/outbound"
	"github.com/stationmaster/worker/retry"
)

func init() { jobs.RegisterJob("webhook", New) }

const (
	secretPrefix = "whsec_"
	// A key is 24 to 64 bytes long, says the specification of Standard Webhooks.
	leastKey, mostKey = 24, 64
)

// Job posts webhooks.
type Job struct {
	// URL is where they go.
	URL string `config:"url"`
	// Secret signs them: whsec_ and 24 to 64 bytes in base64.
	Secret jobs.Secret `config:"secret"`
	// AllowPrivate lets them go to loopback, link-local and private addresses.
	AllowPrivate bool `config:"allow_private"`
	// Timeout bounds one request.
	Timeout time.Duration `config:"timeout"`

	to     *url.URL
	sign   *webhooks.Webhook
	client *outbound.Client
}

// New returns the job with its defaults.
func New() *Job { return &Job{Timeout: outbound.DefaultTimeout} }

// CheckSettings tells all that is wrong with the settings.
func (j *Job) CheckSettings() error {
	var errs [3]error
	j.to, errs[0] = outbound.ParseURL("url", j.URL, j.AllowPrivate)
	j.sign, errs[1] = signer(string(j.Secret))
	if j.Timeout <= 0 {
		errs[2] = fmt.Errorf("timeout: %s: must be more than 0", j.Timeout)
	}
	return errors.Join(errs[:]...)
}

// Provision makes the client.
func (j *Job) Provision(context.Context, *jobs.Env) error {
	j.client = outbound.New(outbound.Options{AllowPrivate: j.AllowPrivate, Timeout: j.Timeout})
	return nil
}

// signer reads the secret; its errors tell nothing of it.
func signer(secret string) (*webhooks.Webhook, error) {
	if secret == "" {
		return nil, errors.New("secret: not set: give whsec_ and 24 to 64 random bytes in base64, like whsec_$(openssl rand -base64 32)")
	}
	encoded, prefixed := strings.CutPrefix(secret, secretPrefix)
	if !prefixed {
		return nil, errors.New("secret: must begin with whsec_")
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("secret: must be base64 after whsec_")
	}
	if len(key) < leastKey || len(key) > mostKey {
		return nil, fmt.Errorf("secret: has %d bytes: must have %d to %d", len(key), leastKey, mostKey)
	}
	return webhooks.NewWebhookRaw(key)
}

// Handle posts one message.
func (j *Job) Handle(ctx context.Context, m *jobs.Message[json.RawMessage]) error {
	now, body := time.Now(), []byte(m.Raw)
	signature, err := j.sign.Sign(m.ID, now, body)
	if err != nil {
		return retry.Never(fmt.Errorf("webhook: sign: %w", err))
	}
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set(webhooks.HeaderWebhookID, m.ID)
	header.Set(webhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	header.Set(webhooks.HeaderWebhookSignature, signature)
	if err := j.client.Post(ctx, j.to, header, body); err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	return nil
}

// Close gives up idle connections.
func (j *Job) Close() error { return j.client.Close() }
