package awsapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

// place is a local SQS behind connections in memory, so that the pauses between tries pass in no time,
// with something that may break in front of it.
type place struct {
	pipes    chan net.Conn
	server   *http.Server
	once     sync.Once
	fault    atomic.Pointer[fault]
	requests atomic.Int64
	bare     atomic.Int64 // those that the SDK did not sign
}

// fault answers the next n requests in place of SQS.
type fault struct {
	n      atomic.Int64
	answer func(w http.ResponseWriter, r *http.Request)
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{pipes: make(chan net.Conn)}
	sqs := localaws.New(localaws.Options{})
	p.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		if r.Header.Get("Amz-Sdk-Invocation-Id") == "" {
			p.bare.Add(1)
		}
		if f := p.fault.Load(); f != nil && f.n.Add(-1) >= 0 {
			_, _ = io.Copy(io.Discard, r.Body)
			// net/http takes it ill when an answer overtakes the end of its own write, which only a
			// pipe without a buffer makes likely.
			synctest.Wait()
			f.answer(w, r)
			return
		}
		sqs.ServeHTTP(w, r)
	})}
	served := make(chan error, 1)
	go func() { served <- p.server.Serve(p) }()
	t.Cleanup(func() {
		if err := errors.Join(p.server.Close(), p.Close()); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return p
}

// Accept, Close and Addr make a place the listener of its server.
func (p *place) Accept() (net.Conn, error) {
	if c, open := <-p.pipes; open {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p *place) Close() error {
	p.once.Do(func() { close(p.pipes) })
	return nil
}

func (p *place) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *place) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.pipes <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *place) config() aws.Config {
	return aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://pipe"),
		HTTPClient:  awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.DialContext = p.dial }),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", "token"),
	}
}

// primed makes a queue with messages in it, and lets its client see each operation succeed once.
func (p *place) primed(t *testing.T, o awsapi.Options) *awsapi.Queue {
	t.Helper()
	c := awsapi.New(p.config(), o)
	at, err := c.CreateQueue(t.Context(), "email", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	q := c.Queue(at, awsapi.QueueOptions{Visibility: time.Minute})
	var all []queue.Message
	for i := range 6 {
		all = append(all, queue.Message{Body: fmt.Sprintf("{\"n\":%d,\"text\":\"é \U0001f600 </>\"}", i), Attributes: map[string]queue.Attribute{
			"kind": {Type: "String", Text: "a \"mail\""}, "pic": {Type: "Binary.png", Binary: []byte{0, 1, 2, 255}},
		}})
	}
	if _, errs := q.Send(t.Context(), all); errs != nil {
		t.Fatal(errs)
	}
	got, err := q.Receive(t.Context(), 1, time.Second)
	if err != nil || len(got) != 1 {
		t.Fatalf("receive: %d messages, %v", len(got), err)
	}
	handles := []queue.ReceiptHandle{got[0].Handle}
	if errs := q.ChangeVisibility(t.Context(), handles, []time.Duration{time.Minute}); errs != nil {
		t.Fatal(errs)
	}
	if errs := q.Delete(t.Context(), handles); errs != nil {
		t.Fatal(errs)
	}
	return q
}

func answer(status int, body string, header ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func hijacked(wire string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(c, wire)
		_ = c.Close()
	}
}

func stuck(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

const (
	many    = 1000     // more often than anything is tried
	endless = many + 1 // the same, and only the caller's patience ends it
)

// faults are what can come instead of an answer, and how often in a row.
var faults = map[string]struct {
	n      int64
	answer func(http.ResponseWriter, *http.Request)
}{
	"nothing":                 {},
	"throttled once":          {1, answer(400, `{"__type":"com.amazonaws.sqs#RequestThrottled","message":"slow"}`, "X-Amzn-Query-Error", "RequestThrottled;Sender")},
	"throttled for good":      {many, answer(400, `{"__type":"com.amazonaws.sqs#RequestThrottled","message":"slow"}`, "X-Amzn-Query-Error", "RequestThrottled;Sender")},
	"over the limit":          {many, answer(403, `{"__type":"com.amazonaws.sqs#OverLimit","message":"in flight"}`)},
	"a queue that is gone":    {many, answer(400, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"gone"}`, "X-Amzn-Query-Error", "AWS.SimpleQueueService.NonExistentQueue;Sender", "X-Amzn-RequestId", "r-1")},
	"access denied":           {many, answer(403, `{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"no"}`)},
	"an expired token":        {many, answer(403, `{"__type":"com.amazon.coral.service#ExpiredTokenException","message":"old"}`)},
	"500 once":                {1, answer(500, `{"__type":"com.amazonaws.sqs#InternalFailure","message":"oops"}`)},
	"503 without a body":      {many, answer(503, "")},
	"503 in HTML":             {many, answer(503, "<html>busy</html>", "Content-Type", "text/html")},
	"429":                     {many, answer(429, "")},
	"a dropped connection":    {1, hijacked("")},
	"dropped for good":        {many, hijacked("")},
	"a body cut short":        {1, hijacked("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Mess")},
	"no HTTP":                 {many, hijacked("SSH-2.0\r\n\r\n")},
	"200 that is no JSON":     {many, answer(200, "<html>hello</html>")},
	"200 with nothing in it":  {many, answer(200, `{}`)},
	"200 without a body":      {many, answer(200, "")},
	"a receive in chunks":     {many, hijacked("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n{\"Messages\":[]}\r\n0\r\n\r\n")},
	"a receive until the end": {many, hijacked("HTTP/1.1 200 OK\r\n\r\n{\"Messages\":[]}")},
	"a connection that closes": {many, answer(200, `{"Messages":[{"MessageId":"m","ReceiptHandle":"h","Body":"b","MD5OfBody":"92eb5ffee6ae2fec3ad71c777531578f"}],`+
		`"Successful":[{"Id":"0"},{"Id":"1"}],"Failed":[]}`, "Connection", "close")},
	"one of two refused": {many, answer(200, `{"Successful":[{"Id":"1"}],"Failed":[{"Id":"0","Code":"ReceiptHandleIsInvalid","SenderFault":true,"Message":"old"}]}`)},
	"one of two unheard": {many, answer(200, `{"Successful":[{"Id":"1"}],"Failed":[]}`)},
	"a corrupt message":  {many, answer(200, `{"Messages":[{"MessageId":"m","ReceiptHandle":"h","Body":"b","MD5OfBody":"00"}]}`)},
	"a large message":    {many, answer(200, `{"Messages":[{"MessageId":"m","ReceiptHandle":"h","Body":"`+strings.Repeat(`\u0041`, 64<<10)+`"}]}`)},
	"what it never said": {many, answer(200, `{"New":{"a":[1,true,null,"x",{"b":-2}]},"Messages":[{"MessageId":"m","New":[],"Attributes":{"New":"x"}}],"Successful":[{"Id":"0"},{"Id":"1"}]}`)},
	"a slow answer":      {endless, stuck},
}

// seen is all that a caller and the service can tell of a call.
type seen struct {
	Deliveries []queue.Delivery
	Errs       []string
	Requests   int64 // at the service
	Counted    int64 // by the queue
}

// volatile is what differs from run to run, and how both clients say that an answer is no HTTP.
var volatile = regexp.MustCompile(`request [0-9a-f-]{20,}|net/http: .* malformed HTTP response|malformed HTTP answer: it begins with`)

// tell describes an error by all that the code above branches on.
func tell(err error) string {
	if err == nil {
		return "none"
	}
	if errors.Is(err, context.DeadlineExceeded) {
		// The SDK has several types and texts for it, by the moment at which it notices.
		return "too late"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s", volatile.ReplaceAllString(err.Error(), "X"))
	for _, class := range []error{
		queue.ErrLeaseLost, queue.ErrThrottled, queue.ErrNotFound, queue.ErrDenied, queue.ErrCredentials,
		queue.ErrRejected, context.Canceled, io.EOF,
	} {
		fmt.Fprintf(&b, "|%v", errors.Is(err, class))
	}
	// A pipe in memory may end a body in its own words.
	fmt.Fprintf(&b, "|%v", errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe))
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		fmt.Fprintf(&b, "|%T %s %v", api, api.ErrorCode(), api.ErrorFault())
	}
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		fmt.Fprintf(&b, "|status %d", response.HTTPStatusCode())
	}
	_, sending := errors.AsType[*smithyhttp.RequestSendError](err)
	_, reading := errors.AsType[*smithy.DeserializationError](err)
	_, canceled := errors.AsType[*smithy.CanceledError](err)
	_, address := errors.AsType[*url.Error](err)
	_, network := errors.AsType[net.Error](err)
	fmt.Fprintf(&b, "|send %v|read %v|cancel %v|url %v|net %v", sending, reading, canceled, address, network)
	return b.String()
}

// attempt makes one call in the middle of a fault.
func attempt(t *testing.T, o awsapi.Options, op string, n int64, spoil func(http.ResponseWriter, *http.Request)) seen {
	t.Helper()
	p := newPlace(t)
	q := p.primed(t, o)
	held, err := q.Receive(t.Context(), 2, time.Second)
	if err != nil || len(held) != 2 {
		t.Fatalf("receive: %d messages, %v", len(held), err)
	}
	handles := []queue.ReceiptHandle{held[0].Handle, held[1].Handle}
	if spoil != nil {
		f := &fault{answer: spoil}
		f.n.Store(n)
		p.fault.Store(f)
	}
	before, counted := p.requests.Load(), q.Requests()
	ctx := t.Context()
	if n == endless {
		bounded, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		ctx = bounded
	}
	var s seen
	switch op {
	case "receive":
		s.Deliveries, err = q.Receive(ctx, 10, time.Second)
		s.Errs = []string{tell(err)}
		for i := range s.Deliveries {
			d := &s.Deliveries[i]
			if d.Deadline.Sub(d.Received) != 59*time.Second {
				t.Errorf("lease of %s", d.Deadline.Sub(d.Received))
			}
			d.MessageID, d.Handle = strings.Repeat("x", len(d.MessageID)), queue.ReceiptHandle(strings.Repeat("x", len(d.Handle)))
			d.Received, d.Deadline = time.Time{}, time.Time{}
			d.Sent, d.FirstReceived = d.Sent.Truncate(time.Hour), d.FirstReceived.Truncate(time.Hour)
		}
	case "delete":
		for _, err := range q.Delete(ctx, handles) {
			s.Errs = append(s.Errs, tell(err))
		}
	case "hide":
		for _, err := range q.ChangeVisibility(ctx, handles, []time.Duration{0, 90 * time.Second}) {
			s.Errs = append(s.Errs, tell(err))
		}
	}
	s.Requests, s.Counted = p.requests.Load()-before, q.Requests()-counted
	if standard := p.bare.Load() == 0; standard != o.Standard {
		t.Errorf("%d requests went the direct way", p.bare.Load())
	}
	return s
}

// Whatever happens, the direct way answers as the SDK's client on net/http does.
func TestTheDirectWayAnswersAsTheSDK(t *testing.T) {
	for name, row := range faults {
		for _, op := range []string{"receive", "delete", "hide"} {
			t.Run(op+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					want := attempt(t, awsapi.Options{Standard: true}, op, row.n, row.answer)
					got := attempt(t, awsapi.Options{}, op, row.n, row.answer)
					if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
						t.Error(diff)
					}
				})
			})
		}
	}
}

// A clock that is wrong is found out at the first refusal, and the second request is signed by the
// service's.
func TestTheDirectWaySignsByTheClockOfTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		q := p.primed(t, awsapi.Options{})
		ahead := time.Now().Add(time.Hour)
		var signed atomic.Value
		f := &fault{answer: func(w http.ResponseWriter, r *http.Request) {
			at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
			if err != nil {
				t.Error(err)
			}
			signed.Store(at)
			if ahead.Sub(at) > time.Minute {
				answer(403, `{"__type":"com.amazon.coral.service#InvalidSignatureException","message":"Signature expired"}`,
					"Date", ahead.UTC().Format(http.TimeFormat))(w, r)
				return
			}
			answer(200, `{"Messages":[]}`)(w, r)
		}}
		f.n.Store(many)
		p.fault.Store(f)
		_, err := q.Receive(t.Context(), 1, time.Second)
		if !errors.Is(err, queue.ErrCredentials) {
			t.Errorf("the first receive: %v, want the service's refusal", err)
		}
		if _, err := q.Receive(t.Context(), 1, time.Second); err != nil {
			t.Errorf("the second receive: %v, signed at %v with the service at %v", err, signed.Load(), ahead)
		}
	})
}

func TestAUserWhoInstrumentsTheSDKSeesEveryRequest(t *testing.T) {
	for name, change := range map[string]func(*aws.Config){
		"middleware":  func(c *aws.Config) { c.APIOptions = append(c.APIOptions, smithyhttp.AddHeaderValue("X-Mine", "1")) },
		"request log": func(c *aws.Config) { c.ClientLogMode = aws.LogRetries },
		"options of the service": func(c *aws.Config) {
			c.ServiceOptions = append(c.ServiceOptions, func(string, any) {})
		},
		"a client of its own": func(c *aws.Config) { c.HTTPClient = &http.Client{Transport: ownTransport(c)} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t)
				cfg := p.config()
				change(&cfg)
				c := awsapi.New(cfg, awsapi.Options{})
				at, err := c.CreateQueue(t.Context(), "email", nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				q := c.Queue(at, awsapi.QueueOptions{Visibility: time.Minute})
				for range 3 {
					if _, err := q.Receive(t.Context(), 1, time.Second); err != nil {
						t.Fatal(err)
					}
				}
				if p.bare.Load() != 0 || p.requests.Load() != 4 {
					t.Errorf("%d of %d requests went past the SDK", p.bare.Load(), p.requests.Load())
				}
			})
		})
	}
}

// ownTransport is that of cfg, no longer in the SDK's hands.
func ownTransport(cfg *aws.Config) *http.Transport {
	return cfg.HTTPClient.(*awshttp.BuildableClient).GetTransport()
}

// A role that is assumed anew has other keys, and may have a token where there was none.
func TestTheDirectWayTakesUpNewCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		cfg := p.config()
		var now atomic.Pointer[aws.Credentials]
		now.Store(&aws.Credentials{AccessKeyID: "AKIDOLD", SecretAccessKey: "old"})
		cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return *now.Load(), nil })
		c := awsapi.New(cfg, awsapi.Options{})
		at, err := c.CreateQueue(t.Context(), "email", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		q := c.Queue(at, awsapi.QueueOptions{Visibility: time.Minute})
		var last atomic.Pointer[http.Header]
		f := &fault{answer: func(w http.ResponseWriter, r *http.Request) {
			h := r.Header.Clone()
			last.Store(&h)
			answer(200, `{"Messages":[]}`)(w, r)
		}}
		f.n.Store(many)
		p.fault.Store(f)
		for _, use := range []aws.Credentials{
			{AccessKeyID: "AKIDOLD", SecretAccessKey: "old"},
			{AccessKeyID: "AKIDOLD", SecretAccessKey: "old"},
			{AccessKeyID: "AKIDNEW", SecretAccessKey: "new", SessionToken: "token"},
		} {
			now.Store(&use)
			if _, err := q.Receive(t.Context(), 1, time.Second); err != nil {
				t.Fatal(err)
			}
			h := *last.Load()
			if !strings.Contains(h.Get("Authorization"), "Credential="+use.AccessKeyID+"/") || h.Get("X-Amz-Security-Token") != use.SessionToken {
				t.Errorf("signed with %s, token %q", h.Get("Authorization"), h.Get("X-Amz-Security-Token"))
			}
		}
		if p.bare.Load() != 2 {
			t.Errorf("%d requests went the direct way, want 2", p.bare.Load())
		}
	})
}
