package topology_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

func message(body string) queue.Message { return queue.Message{Body: body} }

const letIn = `{"Statement":[{"Sid":"stationmaster-sns","Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage",` +
	`"Resource":"arn:aws:sqs:us-east-1:000000000000:QUEUE","Condition":{"ArnEquals":{"aws:SourceArn":["arn:aws:sns:us-east-1:000000000000:invitations"]}}}],"Version":"2012-10-17"}`

func policyOf(queue string) string { return strings.Replace(letIn, "QUEUE", queue, 1) }

func TestApplyLaysEverythingInTheOneOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		want := line()
		want.Queues = append(want.Queues, topology.Queue{Name: "email-dlq", Attributes: map[string]string{
			"RedriveAllowPolicy": `{"redrivePermission":"byQueue","sourceQueueArns":["arn:aws:sqs:us-east-1:000000000000:email"]}`,
		}})
		var told []topology.Change
		r, err := want.Apply(t.Context(), k, account, func(c topology.Change) { told = append(told, c) })
		if err != nil {
			t.Fatal(err)
		}
		calls := k.took()
		if diff := cmp.Diff([]string{
			"CreateQueue email-dlq",
			"CreateQueue invitations-email-delivery-dlq",
			"CreateQueue email",
			`SetQueueAttributes email-dlq MessageRetentionPeriod=1209600 RedriveAllowPolicy={"redrivePermission":"byQueue","sourceQueueArns":["arn:aws:sqs:us-east-1:000000000000:email"]}`,
			`SetQueueAttributes invitations-email-delivery-dlq MessageRetentionPeriod=1209600 Policy=` + policyOf("invitations-email-delivery-dlq"),
			`SetQueueAttributes email Policy=` + policyOf("email") + ` RedrivePolicy={"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:email-dlq","maxReceiveCount":15} VisibilityTimeout=60`,
			"CreateTopic invitations",
			"SetTopicAttributes invitations SignatureVersion=2",
			`Subscribe invitations → email FilterPolicy={"event":["user_invited"]} FilterPolicyScope=MessageBody RawMessageDelivery=false ` +
				`RedrivePolicy={"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:invitations-email-delivery-dlq"} ReturnSubscriptionArn=true`,
		}, texts(calls)); diff != "" {
			t.Error(diff)
		}
		if waited := calls[8].after - calls[5].after; waited < time.Minute || waited > time.Minute+5*time.Second {
			t.Errorf("subscribed %s after the policy was set, want a minute and at most one look more", waited)
		}
		if waited := calls[3].after - calls[2].after; waited < time.Second {
			t.Errorf("attributes set %s after the creation, want a second at least", waited)
		}
		if diff := cmp.Diff([]string{
			"queue email-dlq: create", "queue invitations-email-delivery-dlq: create", "queue email: create",
			"policy invitations-email-delivery-dlq: allow topic invitations to send", "policy email: allow topic invitations to send",
			"topic invitations: create", "subscription invitations → email: create",
		}, changes(r)); diff != "" {
			t.Error(diff)
		}
		waits := 0
		told = slices.DeleteFunc(told, func(c topology.Change) bool {
			if c.Kind == topology.Waiting {
				waits++
			}
			return c.Kind == topology.Waiting
		})
		if waits < 10 {
			t.Errorf("a minute of waiting was told %d times", waits)
		}
		if diff := cmp.Diff(r.Changed, told); diff != "" {
			t.Errorf("step was told something else than the result: %s", diff)
		}
		if r.Unchanged != 0 {
			t.Errorf("%d unchanged, and nothing was there", r.Unchanged)
		}
		for _, name := range lineQueues {
			if r.URLs[name] != k.url(t, name) {
				t.Errorf("URL of %s is %q", name, r.URLs[name])
			}
		}
	})
}

func TestApplyAgainChangesNothing(t *testing.T) {
	world(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, line())
		before := k.state(t, lineQueues, "invitations")
		k.took()
		began := time.Now()
		r := k.apply(t, line())
		if calls := k.took(); len(calls) > 0 || len(r.Changed) > 0 {
			t.Errorf("calls %v, changes %v; want none", texts(calls), changes(r))
		}
		if r.Unchanged != 5 { // three queues, a topic, a subscription
			t.Errorf("%d unchanged, want 5", r.Unchanged)
		}
		if took := time.Since(began); took != 0 && other == nil {
			t.Errorf("it waited %s for nothing", took)
		}
		if diff := cmp.Diff(before, k.state(t, lineQueues, "invitations")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestNothingIsLostWhileTheTracksAreLaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		p := k.produce(t.Context(), "invitations", 250*time.Millisecond)
		since := -1 // how many had been sent when Subscribe returned
		_, err := line().Apply(t.Context(), k, account, func(c topology.Change) {
			if c.Kind == "subscription" {
				since = p.count()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Second)
		sent, got := p.stop(), k.received(t, "email")
		if len(k.lost()) > 0 {
			t.Errorf("lost %d: %+v", len(k.lost()), k.lost()[0])
		}
		if since < 100 || len(sent)-since < 30 {
			t.Fatalf("%d were sent, %d of them before Subscribe returned: that proves nothing", len(sent), since)
		}
		// Subscribe and a Publish may cross: one message was on its way already when the subscription was
		// made, or was sent between that and the answer.
		switch {
		case !slices.Contains(got, sent[since]):
			since++
		case slices.Contains(got, sent[since-1]):
			since--
		}
		if diff := cmp.Diff(sent[since:], got); diff != "" {
			t.Error(diff)
		}
	})
}

// received are the bodies that wait in a queue, out of their envelopes, in the order of sending.
func (k *kit) received(t *testing.T, name string) []string {
	t.Helper()
	q := k.Queue(k.url(t, name), awsapi.QueueOptions{Visibility: 12 * time.Hour})
	var bodies []string
	for {
		ds, err := q.Receive(t.Context(), 10, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if len(ds) == 0 {
			return bodies
		}
		for _, d := range ds {
			n, ok := queue.ReadNotification(d.Body)
			if !ok {
				t.Fatalf("%s is not in an envelope", d.Body)
			}
			bodies = append(bodies, n.Message)
		}
	}
}

// spreading is an API whose queues take their attributes a while after they said that they did, as
// AWS's do.
type spreading struct {
	*kit
	t     *testing.T
	takes time.Duration
}

func (s spreading) SetQueueAttributes(ctx context.Context, url string, attributes map[string]string) error {
	time.AfterFunc(s.takes, func() {
		if err := s.kit.SetQueueAttributes(context.WithoutCancel(ctx), url, attributes); err != nil {
			s.t.Error(err)
		}
	})
	return nil
}

func TestNothingIsSubscribedBeforeItsPolicyHasSpread(t *testing.T) {
	for _, takes := range []time.Duration{0, 30 * time.Second, time.Minute, 2 * time.Minute} {
		t.Run(takes.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t)
				p := k.produce(t.Context(), "invitations", 250*time.Millisecond)
				if _, err := line().Apply(t.Context(), spreading{k, t, takes}, account, nil); err != nil {
					t.Fatal(err)
				}
				<-time.After(10 * time.Second)
				p.stop()
				if len(k.lost()) > 0 {
					t.Errorf("lost %d: %+v", len(k.lost()), k.lost()[0])
				}
				if len(k.subscribed(t, "invitations")) != 1 {
					t.Error("nothing is subscribed")
				}
			})
		})
	}
}

func TestAQueueThatDoesNotKeepWhatWasSetIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		_, err := line().Apply(t.Context(), spreading{k, t, time.Hour}, account, nil)
		if err == nil || !strings.Contains(err.Error(), "queue email: does not read back as it was set after 4m") ||
			!strings.Contains(err.Error(), "look for another tool that sets it, then apply again") {
			t.Errorf("error %v", err)
		}
		for _, c := range k.took() {
			if c.action == "Subscribe" {
				t.Error("it was subscribed all the same")
			}
		}
		<-time.After(time.Hour)
		k.apply(t, line())
	})
}

func TestOnlyASubscriptionIsWorthAMinute(t *testing.T) {
	world(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, line())
		began := time.Now()
		r := k.apply(t, with(func(t *topology.Topology) { t.Queues[0].Visibility = 2 * time.Minute }))
		if took := time.Since(began); took != 0 && other == nil {
			t.Errorf("it waited %s, and nothing was to be subscribed", took)
		}
		if diff := cmp.Diff([]string{"queue email: set VisibilityTimeout 60→120"}, changes(r)); diff != "" {
			t.Error(diff)
		}
	})
}

// TestARunAfterOneThatEndedEarlyWaitsToo: the policy is right already, but may not have spread.
func TestARunAfterOneThatEndedEarlyWaitsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		stop := k.fail("CreateTopic", 1, localaws.Fault{Status: 403, Code: "AuthorizationError", Message: "no"})
		if _, err := line().Apply(t.Context(), k, account, nil); err == nil {
			t.Fatal("no error")
		}
		stop()
		began := time.Now()
		k.apply(t, line())
		if took := time.Since(began); took < time.Minute {
			t.Errorf("it subscribed after %s", took)
		}
		<-time.After(time.Hour)
		more := with(func(t *topology.Topology) {
			t.Topics = append(t.Topics, topology.Topic{Name: "theirs", Unmanaged: true})
		})
		if _, err := k.CreateTopic(t.Context(), "theirs", nil, nil); err != nil {
			t.Fatal(err)
		}
		began = time.Now()
		k.apply(t, more)
		if took := time.Since(began); took != 0 {
			t.Errorf("an hour later it waited %s", took)
		}
	})
}

func TestApplyCompletesWhateverFailedBefore(t *testing.T) {
	want := func() topology.Topology {
		return with(func(t *topology.Topology) {
			t.Queues = append(t.Queues, topology.Queue{Name: "analytics", DLQ: "analytics-dlq", MaxReceiveCount: 5})
			t.Subscriptions = append(t.Subscriptions, topology.Subscription{Topic: "invitations", Queue: "analytics", Raw: true, DLQ: "invitations-analytics-delivery-dlq"})
		})
	}
	queues := append([]string{"analytics", "analytics-dlq", "invitations-analytics-delivery-dlq"}, lineQueues...)
	var whole map[string]map[string]string
	var calls []call
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, want())
		calls, whole = k.took(), k.state(t, queues, "invitations")
	})
	for nth, c := range calls {
		of := 0 // which of its action it is
		for _, before := range calls[:nth+1] {
			if before.action == c.action {
				of++
			}
		}
		for name, fault := range map[string]localaws.Fault{
			"refused":        {Status: 403, Code: "AccessDenied", Message: "no"},
			"answer lost":    {Lose: true},
			"service broken": {Status: 500},
			"throttled":      {Status: 400, Code: "Throttling", Message: "slow down"},
		} {
			t.Run(c.action+" "+c.target+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k := newKit(t)
					defer k.produce(t.Context(), "invitations", 5*time.Second).stop()
					stop := k.fail(c.action, of, fault)
					_, err := want().Apply(t.Context(), k, account, nil)
					stop()
					if (err != nil) != (name == "refused") {
						t.Errorf("first run: %v", err)
					}
					thing, _, _ := strings.Cut(c.target, " → ")
					if err != nil && (!strings.Contains(err.Error(), thing) || !strings.HasPrefix(err.Error(), "apply topology: ") || !errors.Is(err, queue.ErrDenied)) {
						t.Errorf("%v: does not name %s and its class", err, thing)
					}
					if _, err := want().Apply(t.Context(), k, account, nil); err != nil {
						t.Fatalf("second run: %v", err)
					}
					if diff := cmp.Diff(whole, k.state(t, queues, "invitations")); diff != "" {
						t.Errorf("after the second run: %s", diff)
					}
					if len(k.lost()) > 0 {
						t.Errorf("lost %d: %+v", len(k.lost()), k.lost()[0])
					}
					k.policyBeforeSubscribe(t)
				})
			})
		}
	}
}

// policyBeforeSubscribe checks that every subscription came at least a minute after the last word on
// the policy of each queue that it delivers to.
func (k *kit) policyBeforeSubscribe(t *testing.T) {
	t.Helper()
	set := map[string]time.Duration{}
	for _, c := range k.took() {
		if _, ok := c.attributes["Policy"]; ok {
			set[c.target] = c.after
		}
		_, name, subscribes := strings.Cut(c.target, " → ")
		if c.action != "Subscribe" || !subscribes {
			continue
		}
		for _, target := range []string{name, "invitations-" + name + "-delivery-dlq"} {
			at, ok := set[target]
			if !ok || c.after-at < time.Minute {
				t.Errorf("subscribed %s %s after its policy (set: %t)", target, c.after-at, ok)
			}
		}
	}
}

func TestApplyStopsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		enough := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(30*time.Second, func() { cancel(enough) })
		if _, err := line().Apply(ctx, k, account, nil); !errors.Is(err, enough) {
			t.Errorf("error %v, want the context's cause", err)
		}
		if waited := time.Since(k.began); waited != 30*time.Second {
			t.Errorf("it ended after %s", waited)
		}
	})
}

func TestANameThatWasDeletedAMomentAgoIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, line())
		k.deleteQueue(t, "email")
		<-time.After(20 * time.Second)
		began := time.Now()
		r := k.apply(t, line())
		if took := time.Since(began); took < 40*time.Second || took > 52*time.Second {
			t.Errorf("it took %s, and SQS wants 40 s more", took)
		}
		if diff := cmp.Diff([]string{"queue email: create", "policy email: allow topic invitations to send"}, changes(r)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestANameThatIsNeverFreeIsAnError(t *testing.T) {
	for _, code := range []string{"QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently"} {
		synctest.Test(t, func(t *testing.T) {
			k := newKit(t)
			k.server.Control("CreateQueue", func(*localaws.Request) *localaws.Fault {
				return &localaws.Fault{Code: code, Message: "wait"}
			})
			_, err := line().Apply(t.Context(), k, account, nil)
			if err == nil || !strings.Contains(err.Error(), "create queue email-dlq") || !strings.Contains(err.Error(), code) {
				t.Errorf("error %v", err)
			}
			if took := time.Since(k.began); took < 2*time.Minute || took > 3*time.Minute {
				t.Errorf("it gave up after %s", took)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
			defer cancel()
			if _, err := line().Apply(ctx, k, account, nil); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "queue email-dlq") {
				t.Errorf("with a context that ends: %v", err)
			}
		})
	}
}

// hesitant is an API that knows its queues only a while after they were made, as SQS may.
type hesitant struct {
	*kit
	until time.Time
}

func (h hesitant) QueueAttributes(ctx context.Context, url string) (map[string]string, error) {
	if time.Now().Before(h.until) {
		return nil, fmt.Errorf("read the attributes of %s: %w", url, queue.ErrNotFound)
	}
	return h.kit.QueueAttributes(ctx, url)
}

func TestANewQueueMayBeUnknownForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		if _, err := line().Apply(t.Context(), hesitant{k, time.Now().Add(20 * time.Second)}, account, nil); err != nil {
			t.Fatal(err)
		}
		if got := k.subscribed(t, "invitations"); len(got) != 1 {
			t.Errorf("subscriptions %v", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		_, err := line().Apply(t.Context(), hesitant{k, time.Now().Add(time.Hour)}, account, nil)
		if !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(k.began); took < 20*time.Second || took > time.Minute {
			t.Errorf("it gave up after %s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		k = newKit(t)
		if _, err := line().Apply(ctx, hesitant{k, time.Now().Add(time.Hour)}, account, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a context that ends: %v", err)
		}
	})
}

// vanishing is an API whose queues are gone for a while after they were set.
type vanishing struct {
	*kit
	from, to time.Duration
	err      error
}

func (v vanishing) QueueAttributes(ctx context.Context, url string) (map[string]string, error) {
	if at := time.Since(v.began); at >= v.from && at < v.to {
		return nil, v.err
	}
	return v.kit.QueueAttributes(ctx, url)
}

func TestAQueueThatVanishesWhileItSettlesIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		if _, err := line().Apply(t.Context(), vanishing{k, 5 * time.Second, 90 * time.Second, queue.ErrNotFound}, account, nil); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(k.began); took < 90*time.Second || took > 100*time.Second {
			t.Errorf("it took %s", took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		_, err := line().Apply(t.Context(), vanishing{k, 5 * time.Second, 90 * time.Second, queue.ErrDenied}, account, nil)
		if !errors.Is(err, queue.ErrDenied) || len(k.subscribed(t, "invitations")) > 0 {
			t.Errorf("what may not be read back: %v", err)
		}
	})
}

func TestAServerThatIsNotAWSNeedsNoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, with(func(t *topology.Topology) { t.Settle = 0 }))
		if took := time.Since(k.began); took != 0 {
			t.Errorf("it took %s", took)
		}
	})
}
