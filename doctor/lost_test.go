package doctor_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/doctor"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// loss is one way to lose a message: how it comes about, and what mends it beside apply.
type loss struct {
	code   string
	wanted topology.Topology
	derail func(t *testing.T, k *kit)
	// attributes and body are those of the message that is lost; body is one that passes.
	attributes map[string]queue.Attribute
	body       string
	// mend is done before apply, where apply alone may not; it is told what the doctor says.
	mend func(t *testing.T, k *kit, f doctor.Finding)
	with func(*doctor.Options)
	// after changes what is declared, which is a part of the mending.
	after func(*topology.Topology)
	// net: it is not lost at the queue but at the dead-letter queue of the subscription, when the queue
	// has refused it for a moment.
	net bool
}

const (
	policies   = "a policy that does not let the topic in loses the message"
	asksAgain  = "Subscribe sends a new token to an endpoint that has not confirmed"
	attributes = "raw delivery of eleven attributes loses the message"
)

func losses() map[string]loss {
	unsubscribe := func(t *testing.T, k *kit) {
		must(t, k.Unsubscribe(t.Context(), k.subscription(t, "orders", account.QueueARN("mail"))))
	}
	deny := `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"},
		{"Sid":"OnlyOurVPC","Effect":"Deny","Principal":"*","Action":"sqs:SendMessage","Resource":"*","Condition":{"StringNotEquals":{"aws:sourceVpce":"vpce-1"}}}]}`
	other := func(source string) string {
		return fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"SQS:SendMessage","Resource":%q,"Condition":{%s}}}`,
			account.QueueARN("mail"), source)
	}
	policy := func(text string) func(*testing.T, *kit) {
		return func(t *testing.T, k *kit) { k.setPolicy(t, "mail", text) }
	}
	raw := func(w *topology.Topology) { w.Subscriptions[0].Raw = true }
	filtered := func(on string) func(*topology.Topology) {
		return func(w *topology.Topology) {
			w.Subscriptions[0].Filter, w.Subscriptions[0].FilterOn = `{"event":["user_invited"]}`, on
		}
	}
	subscribed := func(name, value string) func(*testing.T, *kit) {
		return func(t *testing.T, k *kit) {
			must(t, k.SetSubscriptionAttribute(t.Context(), k.subscription(t, "orders", account.QueueARN("mail")), name, value))
		}
	}
	sample := func(o *doctor.Options) {
		s := doctor.Sample{Name: "it", Body: "{}", Attributes: map[string]doctor.Attribute{}}
		for name, a := range many(11) {
			s.Attributes[name] = doctor.Attribute{Type: a.Type, Value: a.Text}
		}
		o.Samples = []doctor.Sample{s}
	}
	return map[string]loss{
		"D-01 no policy":            {code: "D-01", derail: policy("")},
		"D-01 a policy of others":   {code: "D-01", derail: policy(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"000000000000"},"Action":"sqs:*","Resource":"*"}]}`)},
		"D-02 another topic":        {code: "D-02", derail: policy(other(`"ArnEquals":{"aws:SourceArn":"arn:aws:sns:us-east-1:000000000000:order"}`))},
		"D-02 another account":      {code: "D-02", derail: policy(other(`"StringEquals":{"AWS:SourceAccount":"111111111111"}`))},
		"D-02 another region":       {code: "D-02", derail: policy(other(`"ArnLike":{"aws:SourceArn":"arn:aws:sns:eu-*:000000000000:orders"}`))},
		"D-02 another partition":    {code: "D-02", derail: policy(other(`"ArnLike":{"aws:SourceArn":"arn:aws-cn:sns:*:*:orders"}`))},
		"D-02 the wrong operator":   {code: "D-02", derail: policy(other(`"StringEquals":{"aws:SourceArn":"arn:aws:sns:us-east-1:000000000000:*"}`))},
		"D-03 a deny":               {code: "D-03", derail: policy(deny), mend: func(t *testing.T, k *kit, f doctor.Finding) { k.run(t, f.Mend.AWS[0]) }},
		"D-09 unsubscribed":         {code: "D-09", derail: unsubscribe},
		"D-10 the queue is deleted": {code: "D-10", derail: func(t *testing.T, k *kit) { must(t, k.DeleteQueue(t.Context(), k.url(t, "mail"))) }},
		"D-11 the queue is made again": {
			code: "D-01", derail: func(t *testing.T, k *kit) {
				must(t, k.DeleteQueue(t.Context(), k.url(t, "mail")))
				for !k.remake(t, "mail", "mail-dlq") { // SQS keeps the name for a minute
					pass(time.Second)
				}
			},
		},
		"D-12 scope": {
			code: "D-12", wanted: orders(filtered("body")), derail: subscribed("FilterPolicyScope", "MessageAttributes"), body: `{"event":"user_invited"}`,
		},
		"D-12 case of a name": {
			code: "D-12", wanted: orders(filtered("attributes")), derail: subscribed("FilterPolicy", `{"Event":["user_invited"]}`),
			attributes: map[string]queue.Attribute{"event": {Type: "String", Text: "user_invited"}},
		},
		"D-12 another value": {
			code: "D-12", wanted: orders(filtered("body")), derail: subscribed("FilterPolicy", `{"event":["user_left"]}`), body: `{"event":"user_invited"}`,
		},
		"D-16 eleven attributes": {code: "D-16", wanted: orders(raw), attributes: many(11), with: sample, mend: func(t *testing.T, k *kit, f doctor.Finding) { k.run(t, f.Mend.AWS[0]) }, after: func(w *topology.Topology) { w.Subscriptions[0].Raw = false }},
		"D-18 the net is deleted": {
			code: "D-18", net: true,
			derail: func(t *testing.T, k *kit) { must(t, k.DeleteQueue(t.Context(), k.url(t, "orders-mail-delivery-dlq"))) },
		},
		"D-18 the net of another account": {
			code: "D-18", net: true,
			derail: subscribed("RedrivePolicy", `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:111111111111:net"}`),
		},
		"D-19 the net lets nobody in": {
			code: "D-19", net: true,
			derail: func(t *testing.T, k *kit) { k.setPolicy(t, "orders-mail-delivery-dlq", "") },
		},
	}
}

// remake makes a queue again as somebody does who knows of no policy; false while its name is not free.
func (k *kit) remake(t *testing.T, name, dlq string) bool {
	t.Helper()
	_, err := k.CreateQueue(t.Context(), name, map[string]string{
		"VisibilityTimeout": "60", "RedrivePolicy": `{"deadLetterTargetArn":"` + account.QueueARN(dlq) + `","maxReceiveCount":15}`,
	}, nil)
	return err == nil
}

// run runs the commands that the doctor says, as far as they set attributes of a queue or a subscription.
func (k *kit) run(t *testing.T, command string) {
	t.Helper()
	value := func(flag string) string {
		_, rest, _ := strings.Cut(command, flag+" ")
		if text, ok := strings.CutPrefix(rest, "'"); ok {
			text, _, _ = strings.Cut(text, "'")
			return text
		}
		word, _, _ := strings.Cut(rest, " ")
		return word
	}
	switch {
	case strings.HasPrefix(command, "aws sqs set-queue-attributes"):
		var set map[string]string
		must(t, json.Unmarshal([]byte(value("--attributes")), &set))
		must(t, k.SetQueueAttributes(t.Context(), value("--queue-url"), set))
	case strings.HasPrefix(command, "aws sns set-subscription-attributes"):
		must(t, k.SetSubscriptionAttribute(t.Context(), value("--subscription-arn"), value("--attribute-name"), value("--attribute-value")))
	case strings.HasPrefix(command, "aws sqs create-queue"):
		set := map[string]string{}
		must(t, json.Unmarshal([]byte(value("--attributes")), &set))
		_, err := k.CreateQueue(t.Context(), value("--queue-name"), set, nil)
		must(t, err)
	case strings.HasPrefix(command, "aws sns subscribe"):
		set := map[string]string{}
		must(t, json.Unmarshal([]byte(value("--attributes")), &set))
		_, err := k.Subscribe(t.Context(), value("--topic-arn"), value("--protocol"), value("--notification-endpoint"), set)
		must(t, err)
	default:
		t.Fatalf("nobody here runs %s", command)
	}
}

// Whoever types the commands that the doctor prints, and never applies, gets the messages too.
func TestThePrintedCommandsMendALoss(t *testing.T) {
	for name, l := range losses() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, wanted := newKit(t, localaws.Options{}), l.wanted
				if wanted.Topics == nil {
					wanted = orders()
				}
				k.apply(t, wanted)
				if l.derail != nil {
					l.derail(t, k)
				}
				look := func() *doctor.Report {
					return k.examine(t, wanted, func(o *doctor.Options) {
						if l.with != nil {
							l.with(o)
						}
					})
				}
				pass(time.Minute) // SQS keeps the name of a deleted queue for so long
				for _, command := range look().Findings[0].Mend.AWS {
					k.run(t, command)
				}
				for _, f := range look().Findings {
					if f.Severity == doctor.Critical {
						t.Errorf("after its commands: %v", f)
					}
				}
				l.publish(t, k)
				to := "mail"
				if l.net {
					to = "orders-mail-delivery-dlq"
				}
				if got := k.arrive(func() []string { return k.bodies(t, to) }); len(got) != 1 {
					t.Errorf("%s got %q, want one message", to, got)
				}
			})
		})
	}
}

// Each way to lose a message that SNS and SQS alone can make: it is set up, a message that is published
// vanishes, the doctor names exactly that, it is mended, and a message arrives.
func TestEachLossIsNamedAndMended(t *testing.T) {
	for name, l := range losses() {
		t.Run(name, func(t *testing.T) {
			world(t, l.prove)
		})
	}
}

func (l loss) prove(t *testing.T) {
	k, wanted := newKit(t, localaws.Options{}), l.wanted
	if wanted.Topics == nil {
		wanted = orders()
	}
	k.apply(t, wanted)
	if r := k.examine(t, wanted); len(r.Findings) > 0 {
		t.Fatalf("healthy, and found: %v", r.Findings)
	}
	if l.derail != nil {
		l.derail(t, k)
	}
	l.publish(t, k)
	r := k.examine(t, wanted, func(o *doctor.Options) {
		if l.with != nil {
			l.with(o)
		}
	})
	if diff := cmp.Diff([]string{l.code}, codes(r)); diff != "" {
		t.Fatalf("findings (-want +got):\n%s\n%v", diff, r.Findings)
	}
	if r.ExitCode() != doctor.ExitLost || r.Lost("mail") == nil {
		t.Errorf("exit code %d, lost %v", r.ExitCode(), r.Lost("mail"))
	}
	f := r.Findings[0]
	if len(f.Evidence) == 0 || f.Happens == "" || f.Mend.Text == "" || len(f.Mend.AWS) == 0 {
		t.Errorf("incomplete: %+v", f)
	}
	if l.net && other == nil && len(k.lost()) == 0 {
		t.Error("nothing was lost")
	}
	if l.mend != nil {
		l.mend(t, k, f)
	} else if !f.Mend.Apply {
		t.Error("apply does not mend it")
	}
	there := func() (all []string) {
		for _, name := range []string{"mail", "orders-mail-delivery-dlq"} {
			if _, err := k.QueueURL(t.Context(), name, ""); err == nil && (l.net || name == "mail") {
				all = append(all, k.bodies(t, name)...)
			}
		}
		return all
	}
	got := there()
	other.AsAWS(t, l.why(), len(got) == 0, "it did not vanish: %q", got)
	// What has too many attributes fits into the dead-letter queue no better.
	if len(got) == 0 && !l.net && l.code != "D-09" && l.code != "D-12" && l.code != "D-16" {
		if caught := k.arrive(func() []string { return k.bodies(t, "orders-mail-delivery-dlq") }); len(caught) != 1 {
			t.Errorf("the dead-letter queue of the subscription has %q, want the message", caught)
		}
	}
	if l.after != nil {
		l.after(&wanted)
	}
	k.apply(t, wanted)
	l.publish(t, k)
	if got := k.arrive(there); len(got) != 1 {
		t.Errorf("after apply: got %q, want one message", got)
	}
	if r := k.examine(t, wanted); len(r.Findings) > 0 {
		t.Errorf("mended, and found: %v", r.Findings)
	}
}

// why is the row of what LocalStack does otherwise, if it does.
func (l loss) why() string {
	switch {
	case l.net, l.code == "D-01", l.code == "D-02", l.code == "D-03":
		return policies
	case l.code == "D-16":
		return attributes
	}
	return "a message vanishes: " + l.code
}

// publish publishes the message, which for a loss at the net the queue refuses for a moment.
func (l loss) publish(t *testing.T, k *kit) {
	t.Helper()
	if l.net {
		policy := k.policy(t, "mail")
		k.setPolicy(t, "mail", "")
		defer k.setPolicy(t, "mail", policy)
	}
	k.publish(t, or(l.body, "{}"), l.attributes)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// Two topics that one policy keeps out: the command for one does not take away what that for the other has
// let in. Nor is it enough to exempt SNS from a deny where nothing allows it.
func TestThePrintedCommandsGoTogether(t *testing.T) {
	for name, policy := range map[string]string{
		"no policy":          "",
		"nothing but a deny": `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"sqs:SendMessage","Resource":"*","Condition":{"StringNotEquals":{"aws:sourceVpce":"vpce-1"}}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wanted := orders(func(w *topology.Topology) {
					w.Topics = append(w.Topics, topology.Topic{Name: "users"})
					w.Subscriptions = append(w.Subscriptions, topology.Subscription{Topic: "users", Queue: "mail", DLQ: "users-mail-delivery-dlq"})
				})
				k := newKit(t, localaws.Options{})
				k.apply(t, wanted)
				k.setPolicy(t, "mail", policy)
				r := k.examine(t, wanted)
				if len(r.Findings) != 2 {
					t.Fatal(codes(r))
				}
				for _, f := range r.Findings {
					for _, command := range f.Mend.AWS {
						k.run(t, command)
					}
				}
				if r := k.examine(t, wanted); len(r.Findings) > 0 {
					t.Errorf("after its commands: %v", r.Findings)
				}
			})
		})
	}
}

// Without a dead-letter queue of the subscription the same derailments throw messages away for good.
func TestWithoutNetTheSameMessagesAreGone(t *testing.T) {
	for name, l := range losses() {
		if l.net || l.code == "D-09" || l.code == "D-12" {
			continue // nothing fails there
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, wanted := newKit(t, localaws.Options{}), l.wanted
				if wanted.Topics == nil {
					wanted = orders()
				}
				wanted.Subscriptions = slices.Clone(wanted.Subscriptions)
				wanted.Subscriptions[0].DLQ = ""
				k.apply(t, wanted)
				if l.derail != nil {
					l.derail(t, k)
				}
				k.publish(t, or(l.body, "{}"), l.attributes)
				if drops := k.lost(); len(drops) != 1 {
					t.Errorf("lost: %v, want one", drops)
				}
				r := k.examine(t, wanted, func(o *doctor.Options) {
					if l.with != nil {
						l.with(o)
					}
				})
				if diff := cmp.Diff([]string{l.code, "D-17"}, codes(r)); diff != "" {
					t.Errorf("findings (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// endpoint is an HTTP endpoint that remembers what SNS posts to it.
type endpoint struct {
	mu     sync.Mutex
	bodies []string
}

func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.bodies = append(e.bodies, string(body))
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}

// listen is where SNS reaches it: the embedded server by a name, others by a socket.
func (e *endpoint) listen(t *testing.T) string {
	t.Helper()
	if other == nil {
		return "http://hooks.test"
	}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := e.RoundTrip(r); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// count is how many messages of a type came.
func (e *endpoint) count(kind string) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, body := range e.bodies {
		if strings.Contains(body, `"`+kind+`"`) {
			n++
		}
	}
	return n
}

// last is the last message of a type.
func (e *endpoint) last(kind string) (m struct{ Type, Token, Message string }) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, body := range slices.Backward(e.bodies) {
		if json.Unmarshal([]byte(body), &m) == nil && m.Type == kind {
			return m
		}
	}
	return struct{ Type, Token, Message string }{}
}

// D-08: nothing is delivered until a subscription is confirmed; apply asks for a new token.
func TestPendingSubscription(t *testing.T) {
	world(t, func(t *testing.T) {
		e := &endpoint{}
		at := e.listen(t) + "/audit"
		k := newKit(t, localaws.Options{Deliver: e})
		wanted := orders(func(w *topology.Topology) {
			w.Queues = nil
			w.Topics[0].Attributes = map[string]string{"SignatureVersion": "2"}
			w.Subscriptions[0] = topology.Subscription{Topic: "orders", Protocol: "http", Endpoint: at, DLQ: "orders-audit-delivery-dlq"}
		})
		_, err := wanted.Apply(t.Context(), k.Client, account, nil)
		if err == nil {
			t.Fatal("apply does not say that it is pending")
		}
		k.publish(t, "lost", nil)
		pass(quiet())
		if m := e.last("Notification"); m.Type != "" {
			t.Errorf("delivered: %v", m)
		}
		r := k.examine(t, wanted)
		if diff := cmp.Diff([]string{"D-08"}, codes(r)); diff != "" || r.ExitCode() != doctor.ExitLost {
			t.Fatalf("findings (-want +got):\n%s", diff)
		}
		_, _ = wanted.Apply(t.Context(), k.Client, account, nil) // asks again, and cannot wait here
		pass(time.Second)
		other.AsAWS(t, asksAgain, e.count("SubscriptionConfirmation") > 1, "it is not asked again")
		_, err = k.ConfirmSubscription(t.Context(), account.TopicARN("orders"), e.last("SubscriptionConfirmation").Token)
		must(t, err)
		k.apply(t, wanted)
		k.publish(t, "arrives", nil)
		eventually(t, "a message", func() bool { return e.count("Notification") > 0 })
		if m := e.last("Notification"); m.Message != "arrives" {
			t.Errorf("got %v", m)
		}
		if r := k.examine(t, wanted); len(r.Findings) > 0 {
			t.Errorf("mended, and found: %v", r.Findings)
		}
	})
}

// without its dead-letter queue a message that nobody handles goes round until it is deleted.
func TestDeadLetterQueueIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, localaws.Options{})
		wanted := orders(func(w *topology.Topology) { w.Queues[0].MaxReceiveCount = 8 })
		k.apply(t, wanted)
		must(t, k.DeleteQueue(t.Context(), k.url(t, "mail-dlq")))
		if diff := cmp.Diff([]string{"Q-07"}, codes(k.examine(t, wanted))); diff != "" {
			t.Fatalf("findings (-want +got):\n%s", diff)
		}
		fail := func() (receives int) {
			q := k.Queue(k.url(t, "mail"), awsapi.QueueOptions{Visibility: time.Minute})
			for {
				got, err := q.Receive(t.Context(), 1, time.Second)
				must(t, err)
				if len(got) == 0 {
					return receives
				}
				receives++
				if receives == 20 {
					return receives
				}
				pass(2 * time.Minute)
			}
		}
		k.publish(t, "lost", nil)
		if n := fail(); n != 20 {
			t.Errorf("received %d times, want it to come again and again", n)
		}
		pass(5 * 24 * time.Hour)
		if got := k.bodies(t, "mail"); len(got) > 0 {
			t.Errorf("it is still there: %q", got)
		}
		k.apply(t, wanted)
		k.publish(t, "kept", nil)
		if n := fail(); n != 8 {
			t.Errorf("received %d times, want 8", n)
		}
		if got := k.bodies(t, "mail-dlq"); len(got) != 1 {
			t.Errorf("dead letters: %q, want one", got)
		}
		if r := k.examine(t, wanted); len(r.Findings) > 0 {
			t.Errorf("mended, and found: %v", r.Findings)
		}
	})
}

// D-31, Q-35: what does not exist at all; its publishers and senders are told.
func TestNothingApplied(t *testing.T) {
	world(t, func(t *testing.T) {
		k := newKit(t, localaws.Options{})
		wanted := orders()
		r := k.examine(t, wanted)
		if diff := cmp.Diff([]string{"D-31", "Q-35"}, codes(r)); diff != "" {
			t.Errorf("findings (-want +got):\n%s", diff)
		}
		k.apply(t, wanted)
		must(t, k.DeleteTopic(t.Context(), account.TopicARN("orders")))
		if diff := cmp.Diff([]string{"D-31"}, codes(k.examine(t, wanted))); diff != "" {
			t.Errorf("findings (-want +got):\n%s", diff)
		}
		k.apply(t, wanted)
		k.publish(t, "arrives", nil)
		if got := k.arrive(func() []string { return k.bodies(t, "mail") }); len(got) != 1 {
			t.Errorf("got %q, want one message", got)
		}
		r = k.examine(t, wanted)
		if left := slices.DeleteFunc(codes(r), func(code string) bool { return code == "D-21" }); len(left) > 0 { // the deleted topic's orphan
			t.Errorf("mended, and found: %v", r.Findings)
		}
	})
}
