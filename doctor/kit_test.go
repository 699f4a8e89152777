package doctor_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stationmaster/worker/doctor"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

var account = topology.Account{Partition: "aws", Region: "us-east-1", ID: "000000000000"}

// kit is the local AWS and what it loses in silence.
type kit struct {
	*awsapi.Client
	server *localaws.Server
	mu     sync.Mutex
	drops  []localaws.Drop
}

type roundTripper struct{ http.RoundTripper }

func (r roundTripper) Do(request *http.Request) (*http.Response, error) { return r.RoundTrip(request) }

func newKit(t *testing.T, o localaws.Options) *kit {
	t.Helper()
	k := &kit{server: localaws.New(o)}
	t.Cleanup(func() { _ = k.server.Close() })
	cfg := aws.Config{
		Region: account.Region, BaseEndpoint: aws.String("http://localaws.test"), HTTPClient: roundTripper{k.server.Transport()},
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
	}
	if other != nil {
		cfg.BaseEndpoint, cfg.HTTPClient = &other.Endpoint, http.DefaultClient
	}
	k.Client = awsapi.New(cfg, awsapi.Options{})
	if other != nil {
		other.Empty(t, k.Client)
	}
	k.server.Dropped(func(d localaws.Drop) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.drops = append(k.drops, d)
	})
	return k
}

// as is another account, on the same server.
func (k *kit) as(id string) *awsapi.Client {
	return awsapi.New(aws.Config{
		Region: account.Region, BaseEndpoint: aws.String("http://localaws.test"), HTTPClient: roundTripper{k.server.Transport()},
		Credentials: credentials.NewStaticCredentialsProvider("AKIA"+id, "secret", ""),
	}, awsapi.Options{})
}

// lost takes what was lost in silence.
func (k *kit) lost() []localaws.Drop {
	k.mu.Lock()
	defer k.mu.Unlock()
	drops := k.drops
	k.drops = nil
	return drops
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (k *kit) apply(t *testing.T, wanted topology.Topology) {
	t.Helper()
	_, err := wanted.Apply(t.Context(), k.Client, account, nil)
	must(t, err)
}

func (k *kit) url(t *testing.T, name string) string {
	t.Helper()
	url, err := k.QueueURL(t.Context(), name, "")
	must(t, err)
	return url
}

func (k *kit) setPolicy(t *testing.T, name, value string) {
	t.Helper()
	must(t, k.SetQueueAttributes(t.Context(), k.url(t, name), map[string]string{"Policy": value}))
}

func (k *kit) policy(t *testing.T, name string) string {
	t.Helper()
	have, err := k.QueueAttributes(t.Context(), k.url(t, name))
	must(t, err)
	return have["Policy"]
}

// subscription is the ARN of the one that leads to an endpoint.
func (k *kit) subscription(t *testing.T, topic, endpoint string) string {
	t.Helper()
	all, err := k.TopicSubscriptions(t.Context(), account.TopicARN(topic))
	must(t, err)
	i := slices.IndexFunc(all, func(s queue.Subscription) bool { return s.Endpoint == endpoint })
	if i < 0 {
		t.Fatalf("no subscription with endpoint %s: %v", endpoint, all)
	}
	return all[i].ARN
}

func (k *kit) publish(t *testing.T, body string, attributes map[string]queue.Attribute) {
	t.Helper()
	_, err := k.Publish(t.Context(), account.TopicARN("orders"), queue.Message{Body: body, Attributes: attributes})
	must(t, err)
}

// arrive reads until a message has come, or some seconds are over.
func (k *kit) arrive(read func() []string) (all []string) {
	for deadline := time.Now().Add(20 * time.Second); len(all) == 0 && time.Now().Before(deadline); {
		all = append(all, read()...)
	}
	return all
}

// eventually waits for a condition, with a deadline.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); pass(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// quiet is how long nothing has to come for it not to come at all.
func quiet() time.Duration {
	if other != nil {
		return time.Second
	}
	return time.Minute
}

// bodies receives and deletes what comes into a queue within a second.
func (k *kit) bodies(t *testing.T, name string) []string {
	t.Helper()
	return k.take(t, name, time.Second)
}

// take receives and deletes what is in a queue, or comes within a time.
func (k *kit) take(t *testing.T, name string, wait time.Duration) (all []string) {
	t.Helper()
	q := k.Queue(k.url(t, name), awsapi.QueueOptions{Visibility: time.Minute})
	for {
		if len(all) > 0 {
			wait = 0
		}
		got, err := q.Receive(t.Context(), 10, wait)
		must(t, err)
		if len(got) == 0 {
			return all
		}
		var receipts []queue.ReceiptHandle
		for _, d := range got {
			all, receipts = append(all, d.Body), append(receipts, d.Handle)
		}
		for _, err := range q.Delete(t.Context(), receipts) {
			must(t, err)
		}
	}
}

// observed is what AWS answers about a topology.
func (k *kit) observed(t *testing.T, wanted topology.Topology) *topology.State {
	t.Helper()
	s, err := wanted.Observe(t.Context(), k.Client, account, topology.ObserveOptions{})
	must(t, err)
	return s
}

// examine reads everything back and examines it, as on an endpoint that is not AWS.
func (k *kit) examine(t *testing.T, wanted topology.Topology, with ...func(*doctor.Options)) *doctor.Report {
	t.Helper()
	return examine(t, examineOptions(wanted, k.observed(t, wanted)), with...)
}

func examineOptions(wanted topology.Topology, s *topology.State) doctor.Options {
	return doctor.Options{Topology: wanted, State: s, Work: workOf(wanted), Drain: 25 * time.Second, Grace: 30 * time.Second, Local: true}
}

func examine(t *testing.T, o doctor.Options, with ...func(*doctor.Options)) *doctor.Report {
	t.Helper()
	for _, adjust := range with {
		adjust(&o)
	}
	r, err := doctor.Examine(t.Context(), o)
	must(t, err)
	return r
}

// workOf is a worker that polls all declared queues.
func workOf(wanted topology.Topology) map[string]doctor.Work {
	work := map[string]doctor.Work{}
	for _, q := range wanted.Queues {
		work[q.Name] = doctor.Work{Timeout: 20 * time.Second, Visibility: q.Visibility, Wait: 20 * time.Second, Attempts: 5, Retries: time.Hour, Slots: 4}
	}
	return work
}

// codes are those of the findings, in order.
func codes(r *doctor.Report) []string {
	all := []string{}
	for _, f := range r.Findings {
		all = append(all, f.Code)
	}
	return all
}

// orders is a topic and a queue that is subscribed to it.
func orders(with ...func(*topology.Topology)) topology.Topology {
	wanted := topology.Topology{
		Topics:        []topology.Topic{{Name: "orders"}},
		Queues:        []topology.Queue{{Name: "mail", DLQ: "mail-dlq", MaxReceiveCount: 15, Visibility: time.Minute}},
		Subscriptions: []topology.Subscription{{Topic: "orders", Queue: "mail", DLQ: "orders-mail-delivery-dlq"}},
	}
	for _, adjust := range with {
		adjust(&wanted)
	}
	return wanted
}

// many are attributes that SQS does not take.
func many(n int) map[string]queue.Attribute {
	all := map[string]queue.Attribute{}
	for i := range n {
		all[string(rune('a'+i))] = queue.Attribute{Type: "String", Text: "x"}
	}
	return all
}

// pass lets time pass, which in a bubble of synctest takes none.
func pass(d time.Duration) { <-time.After(d) }
