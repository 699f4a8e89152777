package awsapi

import (
	"context"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/stationmaster/worker/internal/leanhttp"
)

// operation is one of the calls that make up nearly all of a worker's requests.
type operation int

const (
	receiveCall operation = iota
	deleteCall
	hideCall
	operations
)

var targets = map[string]operation{
	"AmazonSQS.ReceiveMessage": receiveCall, "AmazonSQS.DeleteMessageBatch": deleteCall,
	"AmazonSQS.ChangeMessageVisibilityBatch": hideCall,
}

// direct sends the first try of the frequent calls without the SDK's middleware, which costs more
// than everything else that a message costs. It stands below the SDK's client and learns from its
// first request of each operation what such a request looks like.
//
//	Receive, Delete, ChangeVisibility ──▶ direct: learned? ──▶ written, signed, sent ──▶ 200 and read?
//	        ▲                                   │ no                                      │ no
//	        └────────── answer ◀── SDK's client ◀──── with that answer as its first try ◀─┘
//
// So whatever is not a plain success is judged by the SDK itself, as if it had made the try: its
// error types, its retries, its bucket.
type direct struct {
	lean        *leanhttp.Client
	credentials aws.CredentialsProvider
	retryer     aws.RetryerV2
	// off: something of the user's stands in the SDK's middleware and must see every request.
	off bool

	learned [operations]atomic.Pointer[template]
	// skew is what the clock of the service is ahead of ours, in nanoseconds; 0 when it is close.
	skew atomic.Int64
}

// skewed is how far clocks may be apart before a request is signed by the service's. AWS refuses what
// is more than five minutes off. Source: "Troubleshooting signed requests", IAM User Guide.
const skewed = 4 * time.Minute

// Do sends a request of the SDK, and learns from it.
func (d *direct) Do(r *http.Request) (*http.Response, error) {
	response, err := d.lean.Do(r)
	if err != nil || d.off {
		return response, err
	}
	op, frequent := targets[r.Header.Get("X-Amz-Target")]
	if frequent && response.StatusCode == http.StatusOK && d.learned[op].Load() == nil && d.lean.Plain(r.URL) {
		if t := learn(r); t != nil {
			d.learned[op].Store(t)
		}
	}
	return response, nil
}

var writers = sync.Pool{New: func() any { return new(writer) }}

// begin returns what to write a request's body into; nil when the SDK must make the call.
func (d *direct) begin(op operation) (*writer, *template) {
	if d == nil || d.off {
		return nil, nil
	}
	t := d.learned[op].Load()
	if t == nil {
		return nil, nil
	}
	w, ok := writers.Get().(*writer)
	if !ok {
		w = new(writer)
	}
	w.body = w.body[:0]
	return w, t
}

// send makes the first try of a call and returns its answer if that is a whole success, to be
// released by the caller; else what the SDK takes over with. Both are nil when nothing was sent.
func (d *direct) send(ctx context.Context, w *writer, t *template) (*leanhttp.Answer, *taken) {
	defer writers.Put(w)
	c, err := d.credentials.Retrieve(ctx)
	if err != nil || !c.HasKeys() {
		return nil, nil // the SDK asks again, and says what is wrong
	}
	now := time.Now().Add(time.Duration(d.skew.Load()))
	answer, err := d.lean.Exchange(ctx, t.to, w.write(t, &c, now))
	if err != nil {
		return nil, &taken{from: d, err: err}
	}
	if answer.Status == http.StatusOK && answer.Broken == nil {
		return answer, nil
	}
	return nil, d.takeover(answer)
}

// succeeded puts back into the SDK's bucket what a success earns.
func (d *direct) succeeded(ctx context.Context) {
	if release, err := d.retryer.GetAttemptToken(ctx); err == nil {
		_ = release(nil) // a full bucket is no fault
	}
}

// takeover hands an answer to the SDK, and releases it.
func (d *direct) takeover(answer *leanhttp.Answer) *taken {
	defer answer.Release()
	response := answer.Response(nil)
	if at, err := http.ParseTime(response.Header.Get("Date")); err == nil && response.StatusCode != http.StatusOK {
		off := time.Until(at)
		if off.Abs() < skewed {
			off = 0
		}
		d.skew.Store(int64(off))
	}
	return &taken{from: d, response: response, came: answer.Came}
}

// taken is a first try that the SDK takes over: it gets the outcome as if it had just sent it.
type taken struct {
	from     *direct
	response *http.Response
	came     time.Time // when the head of response did
	err      error
	told     bool
}

// Do answers the first request with the outcome there is, and sends the others.
func (t *taken) Do(r *http.Request) (*http.Response, error) {
	if t.told {
		return t.from.Do(r)
	}
	t.told = true
	if t.err != nil {
		return nil, leanhttp.Failure(r, t.err)
	}
	t.response.Request = r
	return t.response, nil
}

// options makes the SDK's client take over; none when there is nothing to take over.
func (t *taken) options() []func(*sqs.Options) {
	if t == nil {
		return nil
	}
	return []func(*sqs.Options){func(o *sqs.Options) { o.HTTPClient = t }}
}

// newDirect makes the direct way for a client of cfg; nil when its HTTP client is not the SDK's own,
// or has settings that only the SDK's heeds.
func newDirect(cfg aws.Config, retryer aws.RetryerV2) *direct {
	client, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok || client.GetTimeout() != 0 || (cfg.DefaultsMode != "" && cfg.DefaultsMode != aws.DefaultsModeLegacy) {
		return nil
	}
	if _, set := client.GetReadTimeout(); set {
		return nil
	}
	return &direct{
		lean:        leanhttp.New(client.GetTransport(), client),
		credentials: cfg.Credentials,
		retryer:     retryer,
		off: cfg.Credentials == nil || len(cfg.APIOptions) > 0 || len(cfg.ServiceOptions) > 0 || cfg.ClientLogMode != 0 ||
			cfg.DisableClockSkewCorrection || !reflect.ValueOf(cfg.Interceptors).IsZero(),
	}
}
