package topology_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// stub is an account that believes everything: for what the local AWS does not do.
type stub struct {
	queues        map[string]map[string]string // attributes by URL
	topics        map[string]map[string]string // attributes by ARN
	listed        map[string]string            // what SNS lists, by endpoint
	subscriptions map[string]map[string]string // attributes by ARN
	made          []string
	region        string // of the topics that it makes; empty: the right one
}

func newStub() *stub {
	return &stub{
		queues: map[string]map[string]string{}, topics: map[string]map[string]string{},
		listed: map[string]string{}, subscriptions: map[string]map[string]string{},
	}
}

const stubURL = "https://sqs.us-east-1.amazonaws.com/000000000000/"

// make notes what is made, with what is said at the creation.
func (s *stub) make(what, name string, attributes, tags map[string]string) {
	text := what + " " + name
	for _, given := range []map[string]string{attributes, tags} {
		for _, key := range slices.Sorted(maps.Keys(given)) {
			text += " " + key + "=" + given[key]
		}
	}
	s.made = append(s.made, text)
}

func (s *stub) CreateQueue(_ context.Context, name string, attributes, tags map[string]string) (string, error) {
	s.make("queue", name, attributes, tags)
	s.queues[stubURL+name] = map[string]string{}
	maps.Copy(s.queues[stubURL+name], attributes)
	return stubURL + name, nil
}

func (s *stub) QueueURL(_ context.Context, name, account string) (string, error) {
	at := stubURL + name
	if account != "" {
		at = strings.Replace(at, "000000000000", account, 1)
	}
	if _, ok := s.queues[at]; !ok {
		return "", fmt.Errorf("find queue %s: %w", name, queue.ErrNotFound)
	}
	return at, nil
}

func (s *stub) QueueAttributes(_ context.Context, url string) (map[string]string, error) {
	have, ok := s.queues[url]
	if !ok {
		return nil, fmt.Errorf("read the attributes of %s: %w", url, queue.ErrNotFound)
	}
	return maps.Clone(have), nil
}

func (s *stub) SetQueueAttributes(_ context.Context, url string, attributes map[string]string) error {
	maps.Copy(s.queues[url], attributes)
	return nil
}

func (s *stub) CreateTopic(_ context.Context, name string, attributes, tags map[string]string) (string, error) {
	s.make("topic", name, attributes, tags)
	at := account
	if s.region != "" {
		at.Region = s.region
	}
	s.topics[at.TopicARN(name)] = map[string]string{}
	return at.TopicARN(name), nil
}

func (s *stub) TopicAttributes(_ context.Context, arn string) (map[string]string, error) {
	have, ok := s.topics[arn]
	if !ok {
		return nil, fmt.Errorf("read the attributes of topic %s: %w", arn, queue.ErrNotFound)
	}
	return maps.Clone(have), nil
}

func (s *stub) SetTopicAttribute(_ context.Context, arn, name, to string) error {
	s.topics[arn][name] = to
	return nil
}

func (s *stub) Subscribe(_ context.Context, topicARN, _, endpoint string, attributes map[string]string) (string, error) {
	s.make("subscription", endpoint, nil, nil)
	arn := topicARN + ":" + endpoint[strings.LastIndexByte(endpoint, ':')+1:]
	s.listed[endpoint] = arn
	if s.subscriptions[arn] == nil {
		s.subscriptions[arn] = map[string]string{}
	}
	maps.Copy(s.subscriptions[arn], attributes)
	return arn, nil
}

func (s *stub) TopicSubscriptions(_ context.Context, topicARN string) ([]queue.Subscription, error) {
	if _, ok := s.topics[topicARN]; !ok {
		return nil, fmt.Errorf("list the subscriptions of %s: %w", topicARN, queue.ErrNotFound)
	}
	var all []queue.Subscription
	for endpoint, arn := range s.listed {
		all = append(all, queue.Subscription{ARN: arn, TopicARN: topicARN, Protocol: "sqs", Endpoint: endpoint})
	}
	return all, nil
}

func (s *stub) QueueTags(context.Context, string) (map[string]string, error) { return nil, nil }

func (s *stub) TopicTags(context.Context, string) (map[string]string, error) { return nil, nil }

func (s *stub) TagQueue(_ context.Context, url string, tags map[string]string) error {
	s.make("tags", url, nil, tags)
	return nil
}

func (s *stub) TagTopic(_ context.Context, arn string, tags map[string]string) error {
	s.make("tags", arn, nil, tags)
	return nil
}

func (s *stub) DeadLetterSources(context.Context, string) ([]string, error) { return nil, nil }

func (s *stub) MoveTasks(context.Context, string) ([]queue.MoveTask, error) { return nil, nil }

func (s *stub) Subscriptions(context.Context, string) ([]queue.Subscription, string, error) {
	return nil, "", nil
}

func (s *stub) SubscriptionAttributes(_ context.Context, arn string) (map[string]string, error) {
	return maps.Clone(s.subscriptions[arn]), nil
}

func (s *stub) SetSubscriptionAttribute(_ context.Context, arn, name, to string) error {
	s.subscriptions[arn][name] = to
	return nil
}

func TestAQueueOfAnotherAccountIsReachedByItsOwnARN(t *testing.T) {
	const host = "https://sqs.us-east-1.amazonaws.com/"
	for _, tt := range []struct{ name, url, arn, want string }{
		{"its ARN", "", "arn:aws:sqs:eu-west-1:111122223333:orders", "arn:aws:sqs:eu-west-1:111122223333:orders"},
		{"its URL", host + "111122223333/orders", "", "arn:aws:sqs:us-east-1:111122223333:orders"},
		{"its URL, of another region", "https://sqs.ap-southeast-2.amazonaws.com/111122223333/orders", "", "arn:aws:sqs:ap-southeast-2:111122223333:orders"},
		{"an endpoint of a VPC", "https://vpce-0a1b-2c3d.sqs.us-gov-west-1.vpce.amazonaws.com/111122223333/orders.fifo", "", "arn:aws:sqs:us-gov-west-1:111122223333:orders.fifo"},
		{"an older spelling", "https://eu-central-1.queue.amazonaws.com/111122223333/orders", "", "arn:aws:sqs:eu-central-1:111122223333:orders"},
		{"no region in it", "http://localhost:4566/111122223333/orders", "", "arn:aws:sqs:us-east-1:111122223333:orders"},
		{"a path before it", "http://localhost:4566/queue/us-east-1/111122223333/orders/", "", "arn:aws:sqs:us-east-1:111122223333:orders"},
		{"nothing but a name", "http://localhost:4566/orders", "", "arn:aws:sqs:us-east-1:000000000000:orders"},
		{"no URL at all", "http://%zz", "", "arn:aws:sqs:us-east-1:000000000000://%zz"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStub()
			s.topics[account.TopicARN("news")] = map[string]string{}
			s.queues["https://sqs.us-east-1.amazonaws.com/111122223333/orders"] = map[string]string{}
			topic := topology.Topic{Name: "news", Unmanaged: true}
			if strings.HasSuffix(tt.url, ".fifo") {
				topic = topology.Topic{Name: "news.fifo", Unmanaged: true}
				s.topics[account.TopicARN("news.fifo")] = map[string]string{}
			}
			_, err := topology.Topology{
				Topics:        []topology.Topic{topic},
				Queues:        []topology.Queue{{Name: "theirs", URL: tt.url, ARN: tt.arn, Unmanaged: true}},
				Subscriptions: []topology.Subscription{{Topic: topic.Name, Queue: "theirs"}},
			}.Apply(t.Context(), s, account, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"subscription " + tt.want}, s.made); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatItsOwnerHasToConfirmStopsNothingAndIsTold(t *testing.T) {
	const theirs = "arn:aws:sqs:us-east-1:111122223333:theirs"
	want := topology.Topology{
		Topics: []topology.Topic{{Name: "news"}},
		Queues: []topology.Queue{{Name: "ours", DLQ: "ours-dlq", MaxReceiveCount: 3}},
		Subscriptions: []topology.Subscription{
			{Topic: "news", Queue: theirs, DLQ: "news-theirs-delivery-dlq"},
			{Topic: "news", Queue: "ours", DLQ: "news-ours-delivery-dlq"},
		},
	}
	s := newStub()
	pending := account.TopicARN("news") + ":theirs"
	s.subscriptions[pending] = map[string]string{"PendingConfirmation": "true"}
	for run := range 2 {
		r, err := want.Apply(t.Context(), s, account, nil)
		if err == nil || !strings.Contains(err.Error(), "subscription news → theirs: is pending") || !strings.Contains(err.Error(), "its owner has to confirm it") {
			t.Errorf("run %d: error %v", run, err)
		}
		if _, ok := s.listed[account.QueueARN("ours")]; !ok {
			t.Errorf("run %d: what stands behind it was not subscribed", run)
		}
		if run == 1 && len(r.Changed) > 0 {
			t.Errorf("the second run changed %v", changes(r))
		}
		s.listed[theirs] = "PendingConfirmation" // SNS lists no ARN until then
		p, err := want.Plan(t.Context(), s, account)
		if err != nil || len(p.Changes) > 0 || len(p.Pending) != 1 || !strings.Contains(p.Pending[0].Error(), "news → theirs") {
			t.Errorf("plan: %+v, %v", p, err)
		}
	}
	delete(s.subscriptions[pending], "PendingConfirmation")
	s.listed[theirs] = pending
	if r, err := want.Apply(t.Context(), s, account, nil); err != nil || len(r.Changed) > 0 {
		t.Errorf("when it is confirmed: %v, %v", changes(r), err)
	}
}

func TestASubscriptionThatIsListedAsDeletedIsMadeAgain(t *testing.T) {
	s := newStub()
	want := line()
	want.Settle = 0
	if _, err := want.Apply(t.Context(), s, account, nil); err != nil {
		t.Fatal(err)
	}
	s.listed[account.QueueARN("email")] = "Deleted"
	p, err := want.Plan(t.Context(), s, account)
	if err != nil || !slices.Equal(unlike(p), []string{"subscription invitations → email: create"}) {
		t.Errorf("plan: %+v, %v", p, err)
	}
	r, err := want.Apply(t.Context(), s, account, nil)
	if diff := cmp.Diff([]string{"subscription invitations → email: create"}, changes(r)); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestATopicOfAnotherRegionIsNotWhatThePoliciesName(t *testing.T) {
	s := newStub()
	s.region = "eu-west-1"
	_, err := line().Apply(t.Context(), s, account, nil)
	if err == nil || !strings.Contains(err.Error(), "topic invitations: created as arn:aws:sns:eu-west-1:000000000000:invitations") || !strings.Contains(err.Error(), "check AWS_REGION") {
		t.Errorf("error %v", err)
	}
	if slices.ContainsFunc(s.made, func(m string) bool { return strings.HasPrefix(m, "subscription") }) {
		t.Errorf("made %v", s.made)
	}
	there := topology.Topology{Topics: []topology.Topic{{Name: "news", ARN: "arn:aws:sns:eu-west-1:111122223333:news", Unmanaged: true}}}
	const says = "topic news: is in eu-west-1, and SNS takes calls about it there only; this is us-east-1: set AWS_REGION, or leave it out here"
	if _, err := there.Apply(t.Context(), s, account, nil); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("apply: %v", err)
	}
	if _, err := there.Plan(t.Context(), s, account); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("plan: %v", err)
	}
}

// TestFIFOIsSaidOnceAtTheCreation: AWS knows FifoQueue on nothing else, not even as false.
func TestFIFOIsSaidOnceAtTheCreation(t *testing.T) {
	s := newStub()
	want := topology.Topology{
		Topics: []topology.Topic{{Name: "orders.fifo", Attributes: content("true"), Tags: map[string]string{"team": "x"}}, {Name: "news"}},
		Queues: []topology.Queue{
			{Name: "bills.fifo", DLQ: topology.DLQName("bills.fifo"), MaxReceiveCount: 5, Attributes: map[string]string{"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}},
			{Name: "audit", DLQ: topology.DLQName("audit"), MaxReceiveCount: 5},
			{Name: "work.fifo", Attributes: content("true"), Tags: map[string]string{"team": "x"}},
		},
		Subscriptions: []topology.Subscription{
			{Topic: "orders.fifo", Queue: "bills.fifo", DLQ: topology.DeliveryDLQName("orders.fifo", "bills.fifo")},
			{Topic: "orders.fifo", Queue: "audit", DLQ: topology.DeliveryDLQName("orders.fifo", "audit")},
			{Topic: "news", Queue: "audit", DLQ: topology.DeliveryDLQName("news", "audit")},
		},
	}
	if _, err := want.Apply(t.Context(), s, account, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{
		"queue bills-dlq.fifo FifoQueue=true", "queue audit-dlq", "queue orders-bills-delivery-dlq.fifo FifoQueue=true", "queue orders-audit-delivery-dlq",
		"queue news-audit-delivery-dlq", "queue bills.fifo FifoQueue=true", "queue audit", "queue work.fifo FifoQueue=true team=x",
		"topic orders.fifo FifoTopic=true team=x", "topic news",
		"subscription arn:aws:sqs:us-east-1:000000000000:bills.fifo", "subscription arn:aws:sqs:us-east-1:000000000000:audit", "subscription arn:aws:sqs:us-east-1:000000000000:audit",
	}, s.made); diff != "" {
		t.Error(diff)
	}
	for name, content := range map[string]string{"bills.fifo": "", "bills-dlq.fifo": "", "work.fifo": "true", "audit": "", "audit-dlq": ""} {
		have := s.queues[stubURL+name]
		if have["ContentBasedDeduplication"] != content {
			t.Errorf("queue %s: ContentBasedDeduplication is %q, want %q", name, have["ContentBasedDeduplication"], content)
		}
	}
	if have := s.queues[stubURL+"bills.fifo"]; have["DeduplicationScope"] != "messageGroup" || have["FifoThroughputLimit"] != "perMessageGroupId" {
		t.Errorf("attributes %v", have)
	}
	if got := s.topics[account.TopicARN("orders.fifo")]["ContentBasedDeduplication"]; got != "true" {
		t.Errorf("topic: ContentBasedDeduplication is %q", got)
	}
	if _, set := s.topics[account.TopicARN("news")]["ContentBasedDeduplication"]; set {
		t.Error("it was set on a standard topic")
	}
}

func TestATopicOfAnotherAccountIsLetInByItsOwnARN(t *testing.T) {
	const theirs = "arn:aws:sns:us-east-1:111122223333:their-news"
	s := newStub()
	s.topics[theirs] = map[string]string{}
	want := topology.Topology{
		Topics:        []topology.Topic{{Name: "news", ARN: theirs, Unmanaged: true}},
		Queues:        []topology.Queue{{Name: "email"}},
		Subscriptions: []topology.Subscription{{Topic: "news", Queue: "email", DLQ: "news-email-delivery-dlq"}},
	}
	if _, err := want.Apply(t.Context(), s, account, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"email", "news-email-delivery-dlq"} {
		if policy := s.queues[stubURL+name]["Policy"]; !strings.Contains(policy, `"aws:SourceArn":["`+theirs+`"]`) {
			t.Errorf("%s: policy %s", name, policy)
		}
	}
	if s.subscriptions[theirs+":email"] == nil {
		t.Errorf("subscriptions %v", s.subscriptions)
	}
	if p, err := want.Plan(t.Context(), s, account); err != nil || len(unlike(p)) > 0 {
		t.Errorf("plan: %+v, %v", p, err)
	}
	// A condition on the account means the topic's, not ours.
	s.queues[stubURL+"email"]["Policy"] = `{"Statement":[{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:SourceAccount":"111122223333"}}}]}`
	if _, err := want.Apply(t.Context(), s, account, nil); err != nil {
		t.Error(err)
	}
}

// TestAStatementThatNobodyReadsHereIsGivenItsChance: AWS knows more of the language than we do.
func TestAStatementThatNobodyReadsHereIsGivenItsChance(t *testing.T) {
	const odd = `{"Sid":"odd","Effect":"Deny","Novelty":1}`
	s := newStub()
	s.queues[stubURL+"email"] = map[string]string{"Policy": `{"Version":"2012-10-17","Statement":` + odd + `}`}
	want := line()
	want.Settle = 0
	if _, err := want.Apply(t.Context(), s, account, nil); err != nil {
		t.Fatal(err)
	}
	if policy := s.queues[stubURL+"email"]["Policy"]; !strings.Contains(policy, odd+`,{"Sid":"stationmaster-sns"`) {
		t.Errorf("policy %s", policy)
	}
	if p, err := want.Plan(t.Context(), s, account); err != nil || len(unlike(p)) > 0 {
		t.Errorf("plan: %+v, %v", p, err)
	}
}

// frank is an API that lists the ARN of a subscription that is pending, as LocalStack does.
type frank struct {
	*kit
	arns map[string]string // by endpoint
}

func (f frank) Subscribe(ctx context.Context, topic, protocol, endpoint string, attributes map[string]string) (string, error) {
	arn, err := f.kit.Subscribe(ctx, topic, protocol, endpoint, attributes)
	f.arns[endpoint] = arn
	return arn, err
}

func (f frank) TopicSubscriptions(ctx context.Context, topic string) ([]queue.Subscription, error) {
	all, err := f.kit.TopicSubscriptions(ctx, topic)
	for i, s := range all {
		if !strings.HasPrefix(s.ARN, "arn:") {
			all[i].ARN = f.arns[s.Endpoint]
		}
	}
	return all, err
}

// TestAPendingEndpointIsToldAlsoWhereItsARNIsListed: it was taken for one that is in force.
func TestAPendingEndpointIsToldAlsoWhereItsARNIsListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, web := newWebKit(t)
		web.deaf.Store(true)
		f := frank{k, map[string]string{}}
		for run := range int32(2) {
			if r, err := everything().Apply(t.Context(), f, account, nil); !errors.Is(err, topology.ErrPending) || len(r.Pending) != 3 {
				t.Errorf("run %d: error %v, pending %v", run, err, r.Pending)
			}
			if asked := web.asked.Load(); asked != 2*(run+1) {
				t.Errorf("run %d: SNS has asked %d times", run, asked)
			}
		}
		web.deaf.Store(false)
		if r, err := everything().Apply(t.Context(), f, account, nil); err != nil || len(r.Pending) != 1 {
			t.Errorf("error %v, pending %v", err, r.Pending)
		}
	})
}
