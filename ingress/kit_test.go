package ingress_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/stationmaster/worker/ingress"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

const (
	account  = "000000000000"
	topicARN = "arn:aws:sns:us-east-1:" + account + ":invitations"
	endpoint = "http://localaws.test"
	hookURL  = "https://hooks.test/hooks/audit"
)

// kit is SNS and SQS in this process, and a handler that they post to without a socket. It runs in a
// synctest bubble.
type kit struct {
	t       *testing.T
	server  *localaws.Server
	sns     *sns.Client
	api     *client
	handler *ingress.Handler
	job     *audit
	seen    recorder

	mu       sync.Mutex
	posts    []*http.Request // as they came, their bodies to be read once again
	statuses []int
	hold     bool // posts end here
	drops    []localaws.Drop
}

// client adds what tests need of SNS to the worker's own.
type client struct {
	*awsapi.Client
	sns     *sns.Client
	confirm func(topicARN, token string) (string, error) // nil: as SNS does
	ended   []string
}

func (c *client) ConfirmSubscription(ctx context.Context, topicARN, token string) (string, error) {
	if c.confirm != nil {
		return c.confirm(topicARN, token)
	}
	return c.Client.ConfirmSubscription(ctx, topicARN, token)
}

func (c *client) Unsubscribe(ctx context.Context, arn string) error {
	c.ended = append(c.ended, arn)
	_, err := c.sns.Unsubscribe(ctx, &sns.UnsubscribeInput{SubscriptionArn: &arn})
	return err
}

// audit is a job that does as it is told.
type audit struct {
	mu   sync.Mutex
	got  []jobs.Info
	does func(ctx context.Context, m *jobs.Message[json.RawMessage]) error
}

func (a *audit) handle(ctx context.Context, m *jobs.Message[json.RawMessage]) error {
	a.mu.Lock()
	a.got = append(a.got, m.Info)
	does := a.does
	a.mu.Unlock()
	if does == nil {
		return nil
	}
	return does(ctx, m)
}

func (a *audit) runs() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.got)
}

func (a *audit) set(does func(context.Context, *jobs.Message[json.RawMessage]) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.does = does
}

func (a *audit) instance(t testing.TB) *jobs.Instance {
	t.Helper()
	r := jobs.NewRegistry()
	jobs.AddTo(r, "audit", a.handle)
	d, _ := r.Lookup("audit")
	i, err := d.Open(t.Context(), func(any) error { return nil }, &jobs.Env{Job: "audit"})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// recorder keeps what the hooks tell.
type recorder struct {
	mu         sync.Mutex
	events     []ingress.Event
	outcomes   []ingress.Outcome
	refusals   []error
	duplicates int
	dead       []error
}

func (r *recorder) hooks() ingress.Hooks {
	lock := func(do func()) { r.mu.Lock(); defer r.mu.Unlock(); do() }
	return ingress.Hooks{
		Finished: func(_ context.Context, _ *queue.Delivery, _ *jobs.Info, o ingress.Outcome) {
			lock(func() { r.outcomes = append(r.outcomes, o) })
		},
		DeadLettered: func(_ context.Context, _ *queue.Delivery, err error) { lock(func() { r.dead = append(r.dead, err) }) },
		Duplicate:    func(context.Context, *queue.Delivery) { lock(func() { r.duplicates++ }) },
		Refused:      func(_ context.Context, _ int, err error) { lock(func() { r.refusals = append(r.refusals, err) }) },
		Subscribed:   func(_ context.Context, e ingress.Event) { lock(func() { r.events = append(r.events, e) }) },
	}
}

// told are the events so far, as words.
func (r *recorder) told() (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		text := string(e.What)
		if len(e.Changed) > 0 {
			text += ": " + strings.Join(e.Changed, ",")
		}
		all = append(all, text)
	}
	return all
}

func (r *recorder) event(n int) ingress.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[n]
}

// newKit makes one with a topic, and a queue for what could not be delivered.
func newKit(t *testing.T, adjust ...func(*ingress.Options)) *kit {
	t.Helper()
	k := &kit{t: t, job: &audit{}}
	k.server = localaws.New(localaws.Options{Deliver: carrier{k}})
	t.Cleanup(func() {
		if err := k.server.Close(); err != nil {
			t.Error(err)
		}
	})
	k.server.Dropped(func(d localaws.Drop) { k.mu.Lock(); defer k.mu.Unlock(); k.drops = append(k.drops, d) })
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint), HTTPClient: &http.Client{Transport: k.server.Transport()},
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
	}
	k.sns = sns.NewFromConfig(cfg)
	k.api = &client{Client: awsapi.New(cfg, awsapi.Options{}), sns: k.sns}
	if _, err := k.api.CreateTopic(t.Context(), "invitations", map[string]string{"SignatureVersion": "2"}, nil); err != nil {
		t.Fatal(err)
	}
	o := ingress.Options{
		SNS: k.api, Endpoint: endpoint, Certificates: k.server.Transport(), Build: "test", Host: "here",
		Paths: []ingress.Path{{
			Path: "/hooks/audit", Job: k.job.instance(t), Hooks: k.seen.hooks(),
			Topics: []ingress.Topic{{
				ARN: topicARN, Protocol: "https", Endpoint: hookURL, DeadLetters: k.failed(),
				Attributes: map[string]string{
					"RedrivePolicy":  `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:failed"}`,
					"DeliveryPolicy": `{"healthyRetryPolicy":{"numRetries":4,"minDelayTarget":2,"maxDelayTarget":30,"backoffFunction":"exponential"}}`,
				},
			}},
		}},
	}
	for _, a := range adjust {
		a(&o)
	}
	var err error
	if k.handler, err = ingress.New(o); err != nil {
		t.Fatal(err)
	}
	return k
}

// failed makes the queue of the dead letters, which the topic may send to.
func (k *kit) failed() *awsapi.Queue {
	k.t.Helper()
	const name = "failed"
	arn := "arn:aws:sqs:us-east-1:" + account + ":" + name
	url, err := k.api.CreateQueue(k.t.Context(), name, map[string]string{
		"Policy": fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":%q,"Condition":{"ArnEquals":{"aws:SourceArn":%q}}}]}`, arn, topicARN),
	}, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	return k.api.Queue(url, awsapi.QueueOptions{})
}

// received takes what is in a queue.
func (k *kit) received(q *awsapi.Queue) []queue.Delivery {
	k.t.Helper()
	got, err := q.Receive(k.t.Context(), 10, 0)
	if err != nil {
		k.t.Fatal(err)
	}
	return got
}

// carrier brings SNS's posts to the handler.
type carrier struct{ k *kit }

func (c carrier) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	c.k.mu.Lock()
	hold := c.k.hold
	kept := r.Clone(context.WithoutCancel(r.Context()))
	kept.Body = io.NopCloser(strings.NewReader(string(body)))
	c.k.posts = append(c.k.posts, kept)
	c.k.mu.Unlock()
	if hold { // SNS is content, and does not come again
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	}
	status := c.k.serve(r, string(body))
	if err := r.Context().Err(); err != nil {
		return nil, err // SNS had gone by then
	}
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	c.k.statuses = append(c.k.statuses, status)
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// serve posts a body to the handler, with the headers and the context of a request.
func (k *kit) serve(r *http.Request, body string) int {
	in := httptest.NewRequestWithContext(r.Context(), r.Method, r.URL.Path, strings.NewReader(body))
	in.Header = r.Header.Clone()
	w := httptest.NewRecorder()
	k.handler.ServeHTTP(w, in)
	return w.Code
}

// subscribe subscribes the path bare, as if somebody had forgotten the attributes, and waits until the
// handler has confirmed that.
func (k *kit) subscribe() string {
	k.t.Helper()
	out, err := k.sns.Subscribe(k.t.Context(), &sns.SubscribeInput{
		TopicArn: aws.String(topicARN), Protocol: aws.String("https"), Endpoint: aws.String(hookURL), ReturnSubscriptionArn: true,
	})
	if err != nil {
		k.t.Fatal(err)
	}
	synctest.Wait()
	return *out.SubscriptionArn
}

// publish publishes and returns SNS's id.
func (k *kit) publish(message string) string {
	k.t.Helper()
	out, err := k.sns.Publish(k.t.Context(), &sns.PublishInput{TopicArn: aws.String(topicARN), Message: &message, Subject: aws.String("hello")})
	if err != nil {
		k.t.Fatal(err)
	}
	return *out.MessageId
}

// capture publishes and takes the post that SNS makes of it, which the handler does not see.
func (k *kit) capture() (*http.Request, string) {
	k.t.Helper()
	k.mu.Lock()
	k.hold, k.posts = true, nil
	k.mu.Unlock()
	k.publish(`{}`)
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hold = false
	if len(k.posts) != 1 {
		k.t.Fatalf("%d posts", len(k.posts))
	}
	body, err := io.ReadAll(k.posts[0].Body)
	if err != nil {
		k.t.Fatal(err)
	}
	return k.posts[0], string(body)
}

// answers takes the statuses that SNS was answered with.
func (k *kit) answers() []int {
	k.mu.Lock()
	defer k.mu.Unlock()
	taken := k.statuses
	k.statuses = nil
	return taken
}

// field is a field of the last post.
func (k *kit) field(name string) string {
	k.t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	var all map[string]any
	if err := json.NewDecoder(k.posts[len(k.posts)-1].Body).Decode(&all); err != nil {
		k.t.Fatal(err)
	}
	text, _ := all[name].(string)
	return text
}

// anonymously visits a URL, as anybody can who has seen a message.
func (k *kit) anonymously(url string) {
	k.t.Helper()
	r, err := http.NewRequestWithContext(k.t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		k.t.Fatal(err)
	}
	response, err := k.server.Transport().RoundTrip(r)
	if err != nil || response.StatusCode != http.StatusOK {
		k.t.Fatalf("%s: %+v, %v", url, response, err)
	}
}

// pass lets time pass in a bubble.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// inBubble runs a test in virtual time.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}
