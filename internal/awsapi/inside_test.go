package awsapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/stationmaster/worker/queue"
)

// These tests see what no caller can: the bytes of a signed request, and what a body is read as.

// recorder keeps the last request and answers with a body.
type recorder struct {
	last *http.Request
	sent []byte
	body string
}

func (r *recorder) Do(request *http.Request) (*http.Response, error) {
	sent, err := io.ReadAll(request.Body)
	r.last, r.sent = request, sent
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(r.body)), Request: request,
	}, err
}

func sdk(r *recorder, endpoint string) *sqs.Client {
	cfg := aws.Config{
		Region: "eu-central-1", HTTPClient: r,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
	}
	if endpoint != "" {
		cfg.BaseEndpoint = &endpoint
	}
	return sqs.NewFromConfig(cfg, tuned(aws.NopRetryer{}))
}

func learned(t testing.TB, endpoint string) *template {
	t.Helper()
	r := &recorder{body: "{}"}
	url := "https://example.com/q"
	if _, err := sdk(r, endpoint).ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url}); err != nil {
		t.Fatal(err)
	}
	return learn(r.last)
}

func TestARequestIsSignedAsTheSDKSignsIt(t *testing.T) {
	for _, endpoint := range []string{"", "https://vpce-1.sqs.eu-central-1.vpce.amazonaws.com/some/path", "http://127.0.0.1:4566"} {
		tmpl := learned(t, endpoint)
		if tmpl == nil {
			t.Fatalf("%q: nothing learned", endpoint)
		}
		w := new(writer)
		rapid.Check(t, func(t *rapid.T) {
			key := rapid.StringMatching(`[A-Z0-9]{1,20}`)
			c := aws.Credentials{
				AccessKeyID: key.Draw(t, "id"), SecretAccessKey: rapid.StringMatching(`[a-zA-Z0-9+/]{1,40}`).Draw(t, "secret"),
				SessionToken: rapid.SampledFrom([]string{"", "token", "dG9rZW4="}).Draw(t, "token"),
			}
			now := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "now"), 0)
			w.body = append(append(w.body[:0], '{'), rapid.String().Draw(t, "body")...)
			r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(w.write(tmpl, &c, now))))
			if err != nil {
				t.Fatal(err)
			}
			got := r.Header.Get("Authorization")
			r.URL.Host = r.Host
			for _, h := range []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token", "Content-Length"} {
				r.Header.Del(h)
			}
			sum := sha256.Sum256(w.body)
			if err := v4.NewSigner().SignHTTP(t.Context(), c, r, hex.EncodeToString(sum[:]), "sqs", "eu-central-1", now); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r.Header.Get("Authorization"), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNothingIsLearnedFromWhatATemplateCannotSay(t *testing.T) {
	for name, change := range map[string]func(*http.Request){
		"another method":           func(r *http.Request) { r.Method = http.MethodPut },
		"a query":                  func(r *http.Request) { r.URL.RawQuery = "a=b" },
		"a path that is escaped":   func(r *http.Request) { r.URL.Path = "/a b" },
		"a path that is not clean": func(r *http.Request) { r.URL.Path = "/a//b" },
		"no signature":             func(r *http.Request) { r.Header.Del("Authorization") },
		"another algorithm": func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "HMAC", "ECDSA-P256", 1))
		},
		"a header twice":               func(r *http.Request) { r.Header["X-Amz-Target"] = []string{"a", "b"} },
		"a header of each":             func(r *http.Request) { r.Header.Set("X-Amzn-Trace-Id", "Root=1") },
		"spaces":                       func(r *http.Request) { r.Header.Set("X-Amz-Target", "a  b") },
		"a signed header that is gone": func(r *http.Request) { r.Header.Del("X-Amz-Target") },
	} {
		r := &recorder{body: "{}"}
		url := "https://example.com/q"
		if _, err := sdk(r, "").ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url}); err != nil {
			t.Fatal(err)
		}
		if learn(r.last) == nil {
			t.Fatal("the request as it is teaches nothing")
		}
		change(r.last)
		if learn(r.last) != nil {
			t.Errorf("%s: something was learned", name)
		}
	}
}

func TestBodiesAreTheSDKs(t *testing.T) {
	r := &recorder{body: "{}"}
	c := sdk(r, "")
	rapid.Check(t, func(t *rapid.T) {
		url := rapid.String().Draw(t, "url")
		handles := make([]queue.ReceiptHandle, rapid.IntRange(1, queue.MaxBatch).Draw(t, "n"))
		visible := make([]time.Duration, len(handles))
		for i := range handles {
			handles[i] = queue.ReceiptHandle(rapid.String().Draw(t, "handle"))
			visible[i] = time.Duration(rapid.Int64Range(0, int64(queue.MaxHeld)).Draw(t, "visible"))
		}
		q := &Queue{client: &Client{receive: c, settle: c}, url: url, visibility: rapid.Int32Range(0, 43200).Draw(t, "visibility")}
		n, wait := rapid.IntRange(1, 10).Draw(t, "most"), rapid.Int32Range(0, 20).Draw(t, "wait")
		same := func(what string, body []byte) {
			if diff := cmp.Diff(plain(t, r.sent), plain(t, body)); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
		}
		ctx := t.Context()
		if id := rapid.StringMatching(`[a-zA-Z0-9"/:-]{0,20}`).Draw(t, "attempt"); id != "" {
			ctx = context.WithValue(ctx, attemptKey{}, id)
		}
		if _, _, err := q.receiveBySDK(ctx, n, wait, 0, nil); err != nil {
			t.Fatal(err)
		}
		same("receive", appendReceive(nil, url, attemptOf(ctx), int32(n), q.visibility, wait))
		q.Delete(t.Context(), handles)
		same("delete", appendSettle(nil, url, handles, nil))
		q.ChangeVisibility(t.Context(), handles, visible)
		same("change visibility", appendSettle(nil, url, handles, visible))
	})
}

func plain(t *rapid.T, body []byte) (v any) {
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// What the decoder takes, the SDK takes too, and both read the same.
func FuzzDecodeMessages(f *testing.F) {
	for _, body := range []string{
		`{}`, `{"Messages":null}`, `{"Messages":[]}`, `{"Messages":[{}]}`,
		`{"Messages":[{"MessageId":"m","ReceiptHandle":"h","Body":"a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é","MD5OfBody":"00"}]}`,
		`{"Messages":[{"MessageId":"m1","ReceiptHandle":"h1","Body":"hello","MD5OfBody":"5d41402abc4b2a76b9719d911017c592",
			"Attributes":{"ApproximateReceiveCount":"3","SentTimestamp":"1700000000123","AWSTraceHeader":"Root=1","MessageGroupId":"g",
			"ApproximateFirstReceiveTimestamp":"1700000001000","MessageDeduplicationId":"d","DeadLetterQueueSourceArn":"a:b","SenderId":"s"},
			"MessageAttributes":{"k":{"DataType":"String","StringValue":"v"},"b":{"DataType":"Binary","BinaryValue":"AQI="}}}],"N":[1,{"a":null}]}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		const lease = time.Minute
		got, corrupt, ok := decodeMessages([]byte(body), time.Time{}, lease)
		if !ok {
			return
		}
		q := &Queue{client: &Client{receive: sdk(&recorder{body: body}, "")}, url: "u", visibility: 60}
		want, wantCorrupt, err := q.receiveBySDK(t.Context(), 10, 0, lease, nil)
		if err != nil {
			t.Fatalf("the SDK refuses it: %v", err)
		}
		for i := range want {
			want[i].Received, want[i].Deadline = time.Time{}, time.Time{}.Add(lease)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(wantCorrupt, corrupt, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	})
}

// A batch that counts as accepted is one that the SDK reads as accepted.
func FuzzDecodeSettled(f *testing.F) {
	f.Add(`{"Successful":[{"Id":"0"},{"Id":"1"}],"Failed":[]}`, 2)
	f.Add(`{"Failed":[],"Successful":[{"Id":"0"}],"X":{"a":[1]}}`, 1)
	f.Fuzz(func(t *testing.T, body string, n int) {
		n = min(max(n, 1), queue.MaxBatch)
		if !decodeSettled([]byte(body), n) {
			return
		}
		c := sdk(&recorder{body: body}, "")
		q := &Queue{client: &Client{settle: c}, url: "u"}
		if errs := q.Delete(t.Context(), make([]queue.ReceiptHandle, n)); errs != nil {
			t.Errorf("the SDK reads %v", errs)
		}
	})
}
