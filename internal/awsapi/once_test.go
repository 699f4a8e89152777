package awsapi_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

// carrier is a server as an HTTP client.
type carrier struct{ http.RoundTripper }

func (c carrier) Do(r *http.Request) (*http.Response, error) { return c.RoundTrip(r) }

// local is a client of an AWS in this process, reached without sockets.
func local(t *testing.T) (*localaws.Server, *awsapi.Client) {
	t.Helper()
	server := localaws.New(localaws.Options{})
	cfg := config(carrier{server.Transport()})
	cfg.Region = "us-east-1"
	return server, awsapi.New(cfg, awsapi.Options{})
}

// made creates a queue and returns its URL and its ARN.
func made(t *testing.T, c *awsapi.Client, name string, attributes map[string]string) (url, arn string) {
	t.Helper()
	url, err := c.CreateQueue(t.Context(), name, attributes, nil)
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.QueueAttributes(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return url, all["QueueArn"]
}

func visible(t *testing.T, c *awsapi.Client, url string) int64 {
	t.Helper()
	counts, err := c.QueueCounts(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return counts.Visible
}

// faulty lets requests of an action go wrong, and counts them.
func faulty(server *localaws.Server, action string, f *localaws.Fault) *atomic.Int64 {
	var n atomic.Int64
	server.Control(action, func(*localaws.Request) *localaws.Fault { n.Add(1); return f })
	return &n
}

func TestSendOnceAsksOnceAndSaysWhatNobodyKnows(t *testing.T) {
	two := []queue.Message{{Body: "one"}, {Body: "two"}}
	for name, row := range map[string]struct {
		fault      localaws.Fault
		unanswered bool
		class      error
		stored     int64
	}{
		"the answer was lost":            {localaws.Fault{Lose: true}, true, nil, 2},
		"the connection broke":           {localaws.Fault{Cut: true}, true, nil, 0},
		"an error of the service":        {localaws.Fault{Status: 500, Code: "InternalFailure"}, true, nil, 0},
		"a gateway's page":               {localaws.Fault{Status: 503, Body: "<html>busy</html>"}, true, nil, 0},
		"a gateway that gave up":         {localaws.Fault{Status: 504}, true, nil, 0},
		"an answer that nobody can read": {localaws.Fault{Status: 200, Body: "<html>hello</html>"}, true, nil, 0},
		"an answer that names nothing":   {localaws.Fault{Status: 200, Body: "{}"}, true, nil, 0},
		"another body was stored":        {localaws.Fault{CorruptMD5: true}, true, nil, 2},
		"an answer that is late":         {localaws.Fault{Late: time.Minute}, true, nil, 2},
		"throttled":                      {localaws.Fault{Status: 403, Code: "RequestThrottled"}, false, queue.ErrThrottled, 0},
		"throttled as a service's error": {localaws.Fault{Status: 503, Code: "ThrottlingException"}, false, queue.ErrThrottled, 0},
		"too many requests":              {localaws.Fault{Status: 429}, false, queue.ErrThrottled, 0},
		"denied":                         {localaws.Fault{Status: 403, Code: "AccessDenied"}, false, queue.ErrDenied, 0},
		"credentials":                    {localaws.Fault{Status: 403, Code: "ExpiredToken"}, false, queue.ErrCredentials, 0},
		"rejected":                       {localaws.Fault{Status: 400, Code: "InvalidParameterValue"}, false, queue.ErrRejected, 0},
		"no queue":                       {localaws.Fault{Status: 400, Code: "QueueDoesNotExist"}, false, queue.ErrNotFound, 0},
		"a status that may pass":         {localaws.Fault{Status: 408}, false, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, c := local(t)
				url, _ := made(t, c, "orders", nil)
				asked := faulty(server, "SendMessageBatch", &row.fault)
				q := c.Queue(url, awsapi.QueueOptions{})
				ids, errs := q.SendOnce(t.Context(), two)
				if len(ids) != 2 || len(errs) != 2 || errs[0] == nil || errs[1] == nil {
					t.Fatalf("ids %q, errs %v, want an error for each of two", ids, errs)
				}
				for _, err := range errs {
					if got := errors.Is(err, queue.ErrUnanswered); got != row.unanswered {
						t.Errorf("unanswered = %t: %v", got, err)
					}
					wantClass(t, err, row.class)
					if text := err.Error(); !strings.HasPrefix(text, "send to orders: ") || strings.Count(text, "no answer") > 1 {
						t.Errorf("reads badly: %s", text)
					}
				}
				if n := asked.Load(); n != 1 || q.Requests() != 1 {
					t.Errorf("%d requests, %d counted, want 1", n, q.Requests())
				}
				if got := visible(t, c, url); got != row.stored {
					t.Errorf("%d messages are stored, want %d", got, row.stored)
				}
			})
		})
	}
}

func TestSendOnceKnowsWhatOfABatchWasRefused(t *testing.T) {
	server, c := local(t)
	url, _ := made(t, c, "orders", nil)
	faulty(server, "SendMessageBatch", &localaws.Fault{Entries: map[string]string{"1": "InternalError", "2": "InvalidMessageContents"}})
	to := c.Queue(url, awsapi.QueueOptions{}).Once()
	ids, errs := to.Send(t.Context(), []queue.Message{{Body: "one"}, {Body: "two"}, {Body: "three"}})
	if len(errs) != 3 || errs[0] != nil || ids[0] == "" {
		t.Fatalf("ids %q, errs %v, want the first accepted", ids, errs)
	}
	for i := 1; i < 3; i++ {
		if errs[i] == nil || errors.Is(errs[i], queue.ErrUnanswered) || ids[i] != "" {
			t.Errorf("entry %d: id %q, %v, want a refusal that is known", i, ids[i], errs[i])
		}
	}
	if got := visible(t, c, url); got != 1 {
		t.Errorf("%d messages are stored, want 1", got)
	}
}

func TestSendOnceThatSucceeds(t *testing.T) {
	_, c := local(t)
	url, _ := made(t, c, "orders", nil)
	q := c.Queue(url, awsapi.QueueOptions{Visibility: time.Minute})
	m := queue.Message{Body: "one", GroupID: "tenant", TraceHeader: "Root=1-2-3", Attributes: map[string]queue.Attribute{
		"n": {Type: "Number.int", Text: "1"}, "b": {Type: "Binary.png", Binary: []byte{0, 255}},
	}}
	ids, errs := q.SendOnce(t.Context(), []queue.Message{m})
	if errs != nil || len(ids) != 1 {
		t.Fatalf("ids %q, errs %v", ids, errs)
	}
	got, err := q.Receive(t.Context(), 1, time.Second)
	if err != nil || len(got) != 1 {
		t.Fatalf("%d deliveries, %v", len(got), err)
	}
	if got[0].MessageID != ids[0] {
		t.Errorf("id %q, want %q", got[0].MessageID, ids[0])
	}
	if diff := cmp.Diff(m, got[0].Message); diff != "" {
		t.Error(diff)
	}
	if ids, errs := q.SendOnce(t.Context(), nil); len(ids) != 0 || errs != nil {
		t.Errorf("of nothing: ids %q, errs %v", ids, errs)
	}
	if _, errs := q.SendOnce(t.Context(), make([]queue.Message, 11)); len(errs) != 11 || !errors.Is(errs[10], queue.ErrRejected) {
		t.Errorf("of eleven: %v", errs)
	}
}

// TestWhatWasNeverSentIsNotUnanswered goes both ways: the program's own to the socket, and net/http's.
func TestWhatWasNeverSentIsNotUnanswered(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	unknown := &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "sqs"}}
	for name, fails := range map[string]error{"refused": refused, "no such host": unknown} {
		for _, standard := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, standard %t", name, standard), func(t *testing.T) {
				var dials atomic.Int64
				cfg := config(awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
					t.DialContext = func(context.Context, string, string) (net.Conn, error) { dials.Add(1); return nil, fails }
				}))
				cfg.BaseEndpoint = aws.String("http://sqs")
				q := awsapi.New(cfg, awsapi.Options{Standard: standard}).Queue(emailURL, awsapi.QueueOptions{})
				_, errs := q.SendOnce(t.Context(), []queue.Message{{Body: "x"}})
				if len(errs) != 1 || errors.Is(errs[0], queue.ErrUnanswered) || !errors.Is(errs[0], fails) {
					t.Errorf("%v, want the dial's error", errs)
				}
				if n := dials.Load(); n != 1 {
					t.Errorf("%d dials, want 1", n)
				}
			})
		}
	}
	t.Run("cancelled before", func(t *testing.T) {
		server, c := local(t)
		url, _ := made(t, c, "orders", nil)
		asked := faulty(server, "SendMessageBatch", nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, errs := c.Queue(url, awsapi.QueueOptions{}).SendOnce(ctx, []queue.Message{{Body: "x"}})
		if len(errs) != 1 || errors.Is(errs[0], queue.ErrUnanswered) || !errors.Is(errs[0], context.Canceled) || asked.Load() != 0 {
			t.Errorf("%v after %d requests, want a cancellation that sent nothing", errs, asked.Load())
		}
	})
	t.Run("no credentials", func(t *testing.T) {
		cfg := config(&fake{replies: []reply{{status: 500}}})
		cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{}, errors.New("no role")
		})
		_, errs := awsapi.New(cfg, awsapi.Options{}).Queue(emailURL, awsapi.QueueOptions{}).SendOnce(t.Context(), []queue.Message{{Body: "x"}})
		if len(errs) != 1 || errors.Is(errs[0], queue.ErrUnanswered) {
			t.Errorf("%v, want no doubt", errs)
		}
	})
}

func TestACallThatIsCancelledUnderWayIsUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, c := local(t)
		url, _ := made(t, c, "orders", nil)
		ctx, cancel := context.WithCancel(t.Context())
		server.Control("SendMessageBatch", func(*localaws.Request) *localaws.Fault {
			cancel()
			return &localaws.Fault{Late: time.Second}
		})
		_, errs := c.Queue(url, awsapi.QueueOptions{}).SendOnce(ctx, []queue.Message{{Body: "x"}})
		if len(errs) != 1 || !errors.Is(errs[0], queue.ErrUnanswered) || !errors.Is(errs[0], context.Canceled) {
			t.Errorf("%v, want a cancellation that nobody knows the outcome of", errs)
		}
	})
}

// TestABrokenConnectionIsAskedOnce: over real HTTP, where a client may be tempted to send it again.
func TestABrokenConnectionIsAskedOnce(t *testing.T) {
	for _, standard := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace(t)
			q := p.primed(t, awsapi.Options{Standard: standard})
			f := &fault{answer: func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				_ = conn.Close()
			}}
			f.n.Store(10)
			p.fault.Store(f)
			before := p.requests.Load()
			_, errs := q.SendOnce(t.Context(), []queue.Message{{Body: "x"}})
			if len(errs) != 1 || !errors.Is(errs[0], queue.ErrUnanswered) {
				t.Errorf("standard %t: %v, want no answer", standard, errs)
			}
			if n := p.requests.Load() - before; n != 1 {
				t.Errorf("standard %t: %d requests, want 1", standard, n)
			}
		})
	}
}
