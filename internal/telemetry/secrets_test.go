package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/internal/telemetry"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// What nobody may read in a log, a trace, a metric or a status.
const (
	address    = "ada.lovelace-7f3a@example.com"
	plainText  = "tok9f8e7d6c5b4a3920"
	secretKey  = "SECRETACCESSKEYMARKER"
	session    = "SESSIONTOKENMARKER"
	notJSONYet = "plain body with " + plainText
)

// tattler is AWS at its worst: it hands on to the local one, save that it answers some requests
// itself, and quotes in its errors what it was sent.
type tattler struct {
	http.RoundTripper

	mu      sync.Mutex
	seen    map[string]int
	handles map[string]bool
}

func (f *tattler) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var in struct {
		Entries []struct{ ID, ReceiptHandle string }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	n := f.note(action, func(use func(handle string)) {
		for _, e := range in.Entries {
			use(e.ReceiptHandle)
		}
	})
	switch {
	case action == "ReceiveMessage" && n == 3:
		return answer(403, map[string]any{"__type": "SignatureDoesNotMatch", "message": "The signature does not match.\n\nThe Canonical String should have been\n'x-amz-security-token:" + session + "'"})
	case action == "DeleteMessageBatch" && n%3 == 1, action == "ChangeMessageVisibilityBatch" && n%3 == 1:
		failed := []map[string]any{}
		for _, e := range in.Entries {
			failed = append(failed, map[string]any{
				"Id": e.ID, "SenderFault": true, "Code": "ReceiptHandleIsInvalid",
				"Message": `The input receipt handle "` + e.ReceiptHandle + `" is not a valid receipt handle.`,
			})
		}
		return answer(200, map[string]any{"Successful": []any{}, "Failed": failed})
	case action == "ChangeMessageVisibilityBatch" && n%3 == 2:
		return answer(400, map[string]any{"__type": "InvalidParameterValue", "message": "Value '" + string(body) + "' at 'entries' failed"})
	}
	return f.RoundTrip(r)
}

// note counts a request and remembers its receipts. No lock is held while a poll is open.
func (f *tattler) note(action string, each func(use func(handle string))) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	each(func(handle string) {
		if handle != "" {
			f.handles[handle] = true
		}
	})
	f.seen[action]++
	return f.seen[action]
}

func answer(status int, body any) (*http.Response, error) {
	text, err := json.Marshal(body)
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}, "X-Amzn-Requestid": {"r-1"}},
		Body: io.NopCloser(bytes.NewReader(text)),
	}, err
}

type order struct {
	Do    string `json:"do"`
	Email string `json:"email"`
	Token string `json:"token"`
}

// quote is a job whose errors hold everything that its message holds.
func quote(ctx context.Context, m *jobs.Message[order]) error {
	err := fmt.Errorf("order %+v of %s with token %s: %s", m.Body, m.Body.Email, m.Body.Token, m.Raw)
	switch m.Body.Do {
	case "fail":
		return err
	case "never":
		return retry.Never(err)
	case "later":
		return retry.After(nil, time.Minute)
	case "pause":
		if m.Attempt > 1 || m.Receives > 1 {
			return nil
		}
		return retry.Pause(err, time.Now().Add(time.Minute))
	case "panic":
		panic(err)
	case "slow":
		select {
		case <-time.After(2 * time.Minute):
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		}
	}
	return nil
}

// TestNoSecretIsToldAnywhere runs the real engine through everything that can go wrong, and reads all
// that it said.
func TestNoSecretIsToldAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.SetState("running")
		server := localaws.New(localaws.Options{})
		aws4 := &tattler{RoundTripper: server.Transport(), seen: map[string]int{}, handles: map[string]bool{}}
		api := awsapi.New(aws.Config{
			Region: "us-east-1", BaseEndpoint: aws.String("http://localaws.test"), HTTPClient: aws4,
			Credentials: credentials.NewStaticCredentialsProvider("AKIDMARKER", secretKey, session),
		}, awsapi.Options{})
		q, dlq := made(t, api, "email"), made(t, api, "email-dlq")
		for _, do := range []string{"done", "fail", "never", "later", "pause", "panic", "slow"} {
			body, err := json.Marshal(order{do, address, plainText})
			if err != nil {
				t.Fatal(err)
			}
			send(t, q, string(body))
		}
		send(t, q, notJSONYet)

		registry := jobs.NewRegistry()
		jobs.AddTo(registry, "mail", quote)
		definition, _ := registry.Lookup("mail")
		instance, err := definition.Open(t.Context(), func(any) error { return nil }, &jobs.Env{})
		if err != nil {
			t.Fatal(err)
		}
		seen := k.email()
		p, err := poller.New(poller.Options{
			Name: "email", Receiver: q, Settler: q, DeadLetters: dlq, Slots: 10, Job: "mail", CutPolls: true, Visibility: 30 * time.Second,
			Route: func(*jobs.Info) (*jobs.Instance, bool) { return instance, true }, Hooks: seen.Hooks(),
			Retry: retry.Policy{Attempts: 2, First: time.Second, Factor: 1, Max: time.Second},
		})
		if err != nil {
			t.Fatal(err)
		}
		seen.Attach(telemetry.Source{State: p.State, Requests: q.Requests, Counts: func(ctx context.Context) (visible, inFlight int64, err error) {
			n, err := api.QueueCounts(ctx, q.URL())
			return n.Visible, n.InFlight, err
		}})
		receive, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); p.Run(receive, t.Context()) }()
		<-time.After(20 * time.Minute)
		_, status := k.get(t, "/status")
		stop()
		<-ended

		all := k.book.String() + status
		for _, span := range k.spans.Ended() {
			all += fmt.Sprintln(span.Name(), span.Attributes(), span.Status(), span.Events())
		}
		for point := range k.measured(t) {
			all += point + "\n"
		}
		aws4.mu.Lock()
		defer aws4.mu.Unlock()
		secrets := []string{address, plainText, secretKey, session, "AKIDMARKER"}
		for handle := range aws4.handles {
			secrets = append(secrets, handle)
		}
		if len(secrets) < 15 {
			t.Errorf("%d secrets: too few receipts were used to prove anything", len(secrets))
		}
		for line := range strings.Lines(all) {
			for _, secret := range secrets {
				if strings.Contains(line, secret) {
					t.Errorf("%q is in: %s", secret, line)
				}
			}
		}
		k.toldEverything(t)
	})
}

// toldEverything checks that the run was as bad as it should be, and that records keep to their keys.
func (k *kit) toldEverything(t *testing.T) {
	t.Helper()
	keys := []string{
		"level", "msg", "queue", "job", "id", "message_id", "receive_count", "group_id", "elapsed", "err",
		"attempt", "class", "fingerprint", "delay", "until", "reason", "settlement", "failed", "stack",
	}
	told := map[string]bool{}
	for _, r := range k.book.Take(t) {
		told[r["msg"].(string)] = true
		for key := range r {
			if !slices.Contains(keys, key) {
				t.Errorf("key %s in %v", key, r)
			}
		}
	}
	for _, msg := range []string{
		"job done", "job failed: the message comes back", "job failed for good: the message goes to the dead-letter queue", "dead-lettered",
		"job asked for another time: the message comes back", "job asked for a pause: the queue rests here", "job interrupted: the message comes back",
		"settle failed", "extend visibility failed: it is tried again while the lease lasts", "receive failed: polling goes on", "receive works again", "lease lost",
	} {
		if !told[msg] {
			t.Errorf("nothing was told of %q: the run proves too little", msg)
		}
	}
}

func made(t *testing.T, api *awsapi.Client, name string) *awsapi.Queue {
	t.Helper()
	url, err := api.CreateQueue(t.Context(), name, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return api.Queue(url, awsapi.QueueOptions{Visibility: 30 * time.Second})
}

func send(t *testing.T, q *awsapi.Queue, body string) {
	t.Helper()
	if _, errs := q.Send(t.Context(), []queue.Message{{Body: body}}); errs != nil {
		t.Fatal(errs)
	}
}
