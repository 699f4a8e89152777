package topology_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

var account = topology.Account{Partition: "aws", Region: "us-east-1", ID: "000000000000"}

// call is one request that changes something, as the server saw it.
type call struct {
	action, target string
	attributes     map[string]string
	after          time.Duration // since the kit was made
}

func (c call) String() string {
	text := c.action + " " + c.target
	for _, name := range slices.Sorted(maps.Keys(c.attributes)) {
		text += " " + name + "=" + c.attributes[name]
	}
	return text
}

// kit is the local AWS with the adapter in front of it: it is a topology.API. It records what changes
// something, and what is lost in silence.
type kit struct {
	*awsapi.Client
	server *localaws.Server
	began  time.Time

	mu    sync.Mutex
	calls []call
	drops []localaws.Drop
}

type roundTripper struct{ http.RoundTripper }

func (r roundTripper) Do(request *http.Request) (*http.Response, error) { return r.RoundTrip(request) }

func newKit(t *testing.T) *kit {
	t.Helper()
	server := localaws.New(localaws.Options{})
	k := &kit{server: server, began: time.Now()}
	k.connect(t)
	return k
}

// connect makes the client, and records what it does.
func (k *kit) connect(t *testing.T) {
	t.Helper()
	cfg := aws.Config{
		Region: account.Region, BaseEndpoint: aws.String("http://localaws.test"), HTTPClient: roundTripper{k.server.Transport()},
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
	}
	if other != nil {
		cfg.BaseEndpoint, cfg.HTTPClient = &other.Endpoint, recorder{k, t}
	}
	k.Client = awsapi.New(cfg, awsapi.Options{})
	if other != nil {
		other.Empty(t, k.Client)
		k.took()
		return
	}
	k.record(t)
}

// record notes what changes something, and what is lost.
func (k *kit) record(t *testing.T) {
	k.server.Control("", func(r *localaws.Request) *localaws.Fault {
		if c, writes := read(t, r); writes {
			c.after = time.Since(k.began)
			k.mu.Lock()
			defer k.mu.Unlock()
			k.calls = append(k.calls, c)
		}
		return nil
	})
	k.server.Dropped(func(d localaws.Drop) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.drops = append(k.drops, d)
	})
}

// read finds out what a request changes; false when it only looks, or sends a message.
func read(t *testing.T, r *localaws.Request) (c call, writes bool) {
	t.Helper()
	for _, verb := range []string{"Get", "List", "Publish", "Send", "Receive"} {
		if strings.HasPrefix(r.Action, verb) {
			return c, false
		}
	}
	if r.Action == "ConfirmSubscription" {
		return c, false // whoever answers for an endpoint does that
	}
	c = call{action: r.Action, target: r.Target[strings.LastIndexAny(r.Target, "/:")+1:], attributes: map[string]string{}}
	if r.Service == "sqs" {
		var in struct {
			QueueName  string
			Attributes map[string]string
		}
		if err := json.Unmarshal(r.Body, &in); err != nil {
			t.Error(err)
		}
		maps.Copy(c.attributes, in.Attributes)
		c.target += in.QueueName
		return c, true
	}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		t.Error(err)
	}
	for n := 1; form.Has(fmt.Sprintf("Attributes.entry.%d.key", n)); n++ {
		entry := fmt.Sprintf("Attributes.entry.%d.", n)
		c.attributes[form.Get(entry+"key")] = form.Get(entry + "value")
	}
	switch r.Action {
	case "CreateTopic":
		c.target = form.Get("Name")
	case "Subscribe":
		endpoint := form.Get("Endpoint")
		c.target += " → " + endpoint[strings.LastIndexByte(endpoint, ':')+1:]
		c.attributes["ReturnSubscriptionArn"] = form.Get("ReturnSubscriptionArn")
	case "SetSubscriptionAttributes":
		c.target, c.attributes[form.Get("AttributeName")] = "", "(none)"
		if form.Has("AttributeValue") {
			c.attributes[form.Get("AttributeName")] = form.Get("AttributeValue")
		}
	case "SetTopicAttributes":
		c.attributes[form.Get("AttributeName")] = form.Get("AttributeValue")
	}
	return c, true
}

// took takes the recorded calls.
func (k *kit) took() []call {
	k.mu.Lock()
	defer k.mu.Unlock()
	calls := k.calls
	k.calls = nil
	return calls
}

func texts(calls []call) []string {
	all := []string{}
	for _, c := range calls {
		all = append(all, c.String())
	}
	return all
}

func (k *kit) lost() []localaws.Drop {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.drops
}

// apply applies and fails the test on an error.
func (k *kit) apply(t *testing.T, want topology.Topology) topology.Result {
	t.Helper()
	r, err := want.Apply(t.Context(), k, account, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// changes are the lines of what an apply did.
func changes(r topology.Result) []string {
	lines := []string{}
	for _, c := range r.Changed {
		lines = append(lines, c.String())
	}
	return lines
}

// state is everything in the account that a topology speaks of, without what differs from run to run.
func (k *kit) state(t *testing.T, queues []string, topics ...string) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	note := func(name string, attributes map[string]string, err error) {
		if err != nil {
			t.Fatal(err)
		}
		maps.DeleteFunc(attributes, func(name, _ string) bool {
			return strings.HasPrefix(name, "Approximate") || strings.HasSuffix(name, "Timestamp") || name == "SubscriptionArn"
		})
		all[name] = attributes
	}
	for _, name := range queues {
		attributes, err := k.QueueAttributes(t.Context(), k.url(t, name))
		note("queue "+name, attributes, err)
	}
	for _, name := range topics {
		attributes, err := k.TopicAttributes(t.Context(), account.TopicARN(name))
		note("topic "+name, attributes, err)
		for endpoint, arn := range k.subscribed(t, name) {
			if !strings.HasPrefix(arn, "arn:") {
				all["subscription "+name+" → "+endpoint] = map[string]string{"pending": arn}
				continue
			}
			attributes, err := k.SubscriptionAttributes(t.Context(), arn)
			note("subscription "+name+" → "+endpoint, attributes, err)
		}
	}
	return all
}

func (k *kit) url(t *testing.T, name string) string {
	t.Helper()
	at, err := k.QueueURL(t.Context(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func (k *kit) subscribed(t *testing.T, topic string) map[string]string {
	t.Helper()
	listed, err := k.TopicSubscriptions(t.Context(), account.TopicARN(topic))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, s := range listed {
		found[s.Endpoint] = s.ARN
	}
	return found
}

// fail answers the nth request of an action (from 1) with a code, once.
func (k *kit) fail(action string, nth int, fault localaws.Fault) (stop func()) {
	var mu sync.Mutex
	seen := 0
	return k.server.Control(action, func(*localaws.Request) *localaws.Fault {
		mu.Lock()
		defer mu.Unlock()
		if seen++; seen == nth {
			return &fault
		}
		return nil
	})
}

// line is a topic with one queue behind it, the least that has everything.
func line() topology.Topology {
	return topology.Topology{
		Topics: []topology.Topic{{Name: "invitations", Attributes: map[string]string{"SignatureVersion": "2"}}},
		Queues: []topology.Queue{{
			Name: "email", DLQ: "email-dlq", MaxReceiveCount: 15, Visibility: time.Minute, Retention: 4 * 24 * time.Hour,
		}},
		Subscriptions: []topology.Subscription{{
			Topic: "invitations", Queue: "email", Filter: `{"event":["user_invited"]}`, FilterOn: "body",
			DLQ: topology.DeliveryDLQName("invitations", "email"),
		}},
		Settle: spread(),
	}
}

// lineQueues are the queues that line makes.
var lineQueues = []string{"email", "email-dlq", "invitations-email-delivery-dlq"}

// with changes the topology of line.
func with(change func(*topology.Topology)) topology.Topology {
	t := line()
	change(&t)
	return t
}

// producer publishes to a topic all the time.
type producer struct {
	cancel context.CancelFunc
	ended  sync.WaitGroup

	mu   sync.Mutex
	sent []string // bodies that SNS took
}

func (k *kit) produce(ctx context.Context, topic string, every time.Duration) *producer {
	ctx, cancel := context.WithCancel(ctx)
	p := &producer{cancel: cancel}
	p.ended.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for n := 0; ; n++ {
			body := fmt.Sprintf(`{"event":"user_invited","n":%d}`, n)
			// A publish that stop would cut could arrive without counting as sent.
			if _, err := k.Publish(context.WithoutCancel(ctx), account.TopicARN(topic), message(body)); err == nil {
				p.mu.Lock()
				p.sent = append(p.sent, body)
				p.mu.Unlock()
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	return p
}

// count is how many were sent so far.
func (p *producer) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.sent)
}

func (p *producer) stop() []string {
	p.cancel()
	p.ended.Wait()
	return p.sent
}

// deleteQueue deletes a queue as its owner would by hand.
func (k *kit) deleteQueue(t *testing.T, name string) {
	t.Helper()
	if other != nil {
		if err := k.DeleteQueue(t.Context(), k.url(t, name)); err != nil {
			t.Fatal(err)
		}
		return
	}
	body := strings.NewReader(`{"QueueUrl":"` + k.url(t, name) + `"}`)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localaws.test/", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "AmazonSQS.DeleteQueue")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20260131/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0")
	out, err := k.server.Transport().RoundTrip(r)
	if err != nil || out.StatusCode != http.StatusOK {
		t.Fatal(out, err)
	}
	out.Body.Close()
}

// make makes a queue by hand.
func (k *kit) make(t *testing.T, name string, attributes map[string]string) {
	t.Helper()
	if _, err := k.CreateQueue(t.Context(), name, attributes, nil); err != nil {
		t.Fatal(err)
	}
}

// byHand subscribes to the topic of line.
func (k *kit) byHand(t *testing.T, protocol, endpoint string, attributes map[string]string) string {
	t.Helper()
	arn, err := k.Subscribe(t.Context(), account.TopicARN("invitations"), protocol, endpoint, attributes)
	if err != nil {
		t.Fatal(err)
	}
	return arn
}

// Send sends one message to a queue.
func (k *kit) Send(t *testing.T, name string) error {
	t.Helper()
	_, errs := k.Queue(k.url(t, name), awsapi.QueueOptions{}).Send(t.Context(), []queue.Message{message("x")})
	return errors.Join(errs...)
}

func (k *kit) set(t *testing.T, name string, attributes map[string]string) {
	t.Helper()
	if err := k.SetQueueAttributes(t.Context(), k.url(t, name), attributes); err != nil {
		t.Fatal(err)
	}
}

// unlike tells what apply would do and what waits to be confirmed: nothing of it when all is as declared. It
// changes nothing.
func (k *kit) unlike(t *testing.T, want topology.Topology) []string {
	t.Helper()
	k.took()
	p, err := want.Plan(t.Context(), k, account)
	if err != nil {
		t.Fatal(err)
	}
	if calls := k.took(); len(calls) > 0 {
		t.Errorf("looking has changed something: %v", texts(calls))
	}
	return unlike(p)
}

func unlike(p *topology.Plan) []string {
	all := []string{}
	for _, c := range p.Changes {
		all = append(all, c.String())
	}
	for _, s := range p.Pending {
		all = append(all, s.Error())
	}
	return all
}
