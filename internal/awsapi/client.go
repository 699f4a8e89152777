// Package awsapi fits the narrow ports of package queue, and the plain calls that topology and
// publish need, to the AWS SDK. It is the only importer of the SDK's service packages.
//
// Receiving, settling and everything else go through three SQS clients, each with its own retry
// budget and its own connection pool: a burst of failing receives must neither spend the retries
// of a delete nor make it wait for a connection that a long poll holds.
package awsapi

import (
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Bounds of one call. A receive may take its long poll and this much more; the others are short,
// retries included, because their callers hold leases.
const (
	receiveSlack   = 10 * time.Second
	settleTimeout  = 5 * time.Second
	sendTimeout    = 10 * time.Second
	controlTimeout = 15 * time.Second
)

// defaultConns is how many idle connections a pool keeps when Options does not say. The SDK's own
// 10 makes 60 loops open a new connection for most of their requests.
const defaultConns = 128

// Options tunes the clients.
type Options struct {
	// Conns is how many idle connections each pool keeps to one host: at least the number of
	// receive loops and settlers of the process. 0 means 128.
	Conns int
	// Standard leaves everything to net/http and to the SDK's middleware: for whoever instruments
	// them, or wants to rule this program's own way to SQS out as a cause.
	Standard bool
}

// Client talks to SQS, SNS and STS of one account and region. It is safe for concurrent use.
type Client struct {
	receive, settle, control *sqs.Client
	// received and settled make the frequent calls of the clients above; nil where the SDK makes all.
	received, settled *direct

	topics   *sns.Client
	identity *sts.Client
	region   string
}

// New makes the clients from cfg. A cfg.HTTPClient that is not the SDK's own is used as it is, by
// all clients: that is how a test puts a transport without sockets below.
func New(cfg aws.Config, o Options) *Client {
	if o.Conns <= 0 {
		o.Conns = defaultConns
	}
	if cfg.Credentials != nil {
		cfg.Credentials = &markedCredentials{cfg.Credentials}
	}
	c := &Client{
		control:  sqs.NewFromConfig(pooled(cfg, o.Conns), tuned(newRetryer(5))),
		topics:   newSNS(cfg, o.Conns),
		identity: sts.NewFromConfig(pooled(cfg, o.Conns)),
		region:   cfg.Region,
	}
	c.receive, c.received = newFrequent(cfg, o, newRetryer(1))
	c.settle, c.settled = newFrequent(cfg, o, newRetryer(4))
	return c
}

// newFrequent makes a client whose frequent calls go the direct way, unless that is off.
func newFrequent(cfg aws.Config, o Options, retryer aws.RetryerV2) (*sqs.Client, *direct) {
	cfg = pooled(cfg, o.Conns)
	d := newDirect(cfg, retryer)
	if o.Standard || d == nil {
		return sqs.NewFromConfig(cfg, tuned(retryer)), nil
	}
	cfg.HTTPClient = d
	return sqs.NewFromConfig(cfg, tuned(retryer)), d
}

func tuned(retryer aws.Retryer) func(*sqs.Options) {
	return func(o *sqs.Options) {
		// One bad body would fail a whole receive of ten; Receive checks each message by itself.
		o.DisableMessageChecksumValidation = true
		// AWS_MAX_ATTEMPTS is meant for programs that have no retries of their own; here it would
		// multiply with the poller's backoff.
		o.RetryMaxAttempts = 0
		o.Retryer = retryer
	}
}

func newSNS(cfg aws.Config, conns int) *sns.Client {
	return sns.NewFromConfig(pooled(cfg, conns), func(o *sns.Options) {
		o.RetryMaxAttempts = 0
		o.Retryer = newRetryer(5)
	})
}

// newRetryer never is adaptive: that mode delays good requests after a throttle, and a settle that
// waits may lose its lease.
func newRetryer(attempts int) aws.RetryerV2 {
	if attempts == 1 {
		return aws.NopRetryer{}
	}
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = attempts
		o.MaxBackoff = time.Second
		o.Retryables = append(o.Retryables, passing)
	})
}

// passing are the codes of transient errors that the SDK's lists leave out.
var passing = retry.RetryableErrorCode{Codes: map[string]struct{}{
	"Throttled": {}, "KMSThrottling": {}, "KMS.ThrottlingException": {}, "KmsThrottled": {}, "OverLimit": {}, "ConcurrentAccess": {},
}}

// pooled gives cfg a connection pool of its own, keeping what a user configured on the SDK's
// client (a certificate bundle, a proxy).
func pooled(cfg aws.Config, conns int) aws.Config {
	client, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if cfg.HTTPClient != nil && !ok {
		return cfg
	}
	if client == nil {
		client = awshttp.NewBuildableClient()
	}
	cfg.HTTPClient = client.WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConns = 0
		t.MaxIdleConnsPerHost = conns
		t.MaxConnsPerHost = 0
		// A long poll answers when it has something; the context of each call is its bound.
		t.ResponseHeaderTimeout = 0
	})
	return cfg
}
