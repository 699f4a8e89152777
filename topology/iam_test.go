package topology_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/internal/iampolicy"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// use is one use of a permission.
type use struct{ action, resource string }

// uses notes each permission that a request needs.
func (k *kit) uses() func() []use {
	var mu sync.Mutex
	seen := map[use]bool{}
	stop := k.server.Control("", func(r *localaws.Request) *localaws.Fault {
		if r.Service == "sts" || r.Action == "ConfirmSubscription" { // everybody may; and the endpoint does
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		seen[use{r.Service + ":" + strings.TrimSuffix(r.Action, "Batch"), resourceOf(r)}] = true
		return nil
	})
	return func() []use {
		stop()
		return slices.SortedFunc(maps.Keys(seen), func(a, b use) int { return strings.Compare(a.action+a.resource, b.action+b.resource) })
	}
}

// resourceOf is the ARN that IAM asks about.
func resourceOf(r *localaws.Request) string {
	if r.Service == "sns" {
		form, err := url.ParseQuery(string(r.Body))
		if name := form.Get("Name"); err == nil && r.Action == "CreateTopic" {
			return account.TopicARN(name)
		}
		return r.Target
	}
	var in struct{ QueueUrl, QueueName, SourceArn string }
	if json.Unmarshal(r.Body, &in) != nil {
		return ""
	}
	switch {
	case r.Action == "CancelMessageMoveTask": // the handle knows
		return account.QueueARN("email-dlq")
	case in.SourceArn != "":
		return in.SourceArn
	case in.QueueName != "":
		return account.QueueARN(in.QueueName)
	case in.QueueUrl != "":
		return account.QueueARN(in.QueueUrl[strings.LastIndexByte(in.QueueUrl, '/')+1:])
	}
	return ""
}

// policyFor is what `worker iam` prints, as a policy that is evaluated: everybody has it.
func policyFor(t *testing.T, want topology.Topology, role string, prune bool) (p *iampolicy.Policy, actions []string) {
	t.Helper()
	text, err := want.Policy(role, account, prune)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Version   string
		Statement []map[string]any
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	sids := map[any]bool{}
	for _, s := range document.Statement {
		if sids[s["Sid"]] {
			t.Errorf("%s: Sid %v stands twice", role, s["Sid"])
		}
		sids[s["Sid"]] = true
		s["Principal"] = "*"
		for _, a := range s["Action"].([]any) {
			actions = append(actions, a.(string))
		}
	}
	whole, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	if p, err = iampolicy.Parse(string(whole)); err != nil {
		t.Fatal(err)
	}
	slices.Sort(actions)
	return p, slices.Compact(actions)
}

func allowed(p *iampolicy.Policy, u use) bool {
	resource := u.resource
	if resource == "" {
		resource = "arn:aws:x:us-east-1:000000000000:any"
	}
	return p.Evaluate(iampolicy.Request{
		Principal: iampolicy.Principal{AWS: "arn:aws:iam::000000000000:role/r"}, Action: u.action, Resource: resource, Time: time.Now(),
		Context: map[string][]string{"aws:ResourceTag/stationmaster": {"mail-team"}, "iam:PassedToService": {"sns.amazonaws.com"}},
	}).Allowed
}

// What each role does, on the local AWS.
var runs = map[string]func(*testing.T, *kit){
	topology.ProvisionerRole: func(t *testing.T, k *kit) {
		if _, err := everything().Plan(t.Context(), k, account); err != nil {
			t.Fatal(err)
		}
		k.apply(t, everything())
		k.set(t, "email", map[string]string{"VisibilityTimeout": "30"})
		if err := k.SetSubscriptionAttribute(t.Context(), k.subscribed(t, "news")[account.QueueARN("email")], "RawMessageDelivery", "false"); err != nil {
			t.Fatal(err)
		}
		changed := everything()
		changed.Topics[0].Tags, changed.Queues[0].Tags = map[string]string{"team": "b"}, map[string]string{"team": "b"}
		k.apply(t, changed)
	},
	topology.OperatorRole: func(t *testing.T, k *kit) {
		k.observe(t, everything(), topology.ObserveOptions{})
		if _, err := everything().Plan(t.Context(), k, account); err != nil {
			t.Fatal(err)
		}
		if _, err := everything().Unwanted(t.Context(), k, account); err != nil {
			t.Fatal(err)
		}
		if _, _, err := k.SubscriptionsFailingTo(t.Context(), account.QueueARN("email-dlq"), 100); err != nil {
			t.Fatal(err)
		}
	},
	topology.PublisherRole: func(t *testing.T, k *kit) {
		if _, err := k.Publish(t.Context(), account.TopicARN("news"), message("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Publish(t.Context(), account.TopicARN("orders.fifo"), queue.Message{Body: "x", GroupID: "g"}); err != nil {
			t.Fatal(err)
		}
	},
	topology.WorkerRole: func(t *testing.T, k *kit) {
		k.observe(t, everything(), topology.ObserveOptions{Brief: true})
		k.handle(t, "email", "email-dlq")
		k.handle(t, "ship.fifo", "ship-dlq.fifo")
		tick := queue.Message{Body: "{}", GroupID: "nightly", DeduplicationID: "nightly-20260101T030000Z"}
		if _, err := k.Publish(t.Context(), account.TopicARN("orders.fifo"), tick); err != nil {
			t.Fatal(err)
		}
		if _, errs := k.Queue(k.url(t, "ship.fifo"), awsapi.QueueOptions{}).Send(t.Context(), []queue.Message{tick}); errors.Join(errs...) != nil {
			t.Fatal(errs)
		}
	},
	topology.ReplayerRole: func(t *testing.T, k *kit) {
		k.handle(t, "email-dlq", "email")
		if _, err := k.DeadLetterSources(t.Context(), k.url(t, "email-dlq")); err != nil {
			t.Fatal(err)
		}
		handle, err := k.StartMoveTask(t.Context(), account.QueueARN("email-dlq"), account.QueueARN("email"), 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.MoveTasks(t.Context(), account.QueueARN("email-dlq")); err != nil {
			t.Fatal(err)
		}
		_, _ = k.CancelMoveTask(t.Context(), handle) // which has ended already, perhaps
		if _, _, err := k.SubscriptionsFailingTo(t.Context(), account.QueueARN("email-dlq"), 100); err != nil {
			t.Fatal(err)
		}
	},
}

// handle receives a message of a queue, extends it, sends it on and deletes it.
func (k *kit) handle(t *testing.T, from, to string) {
	t.Helper()
	q, next := k.Queue(k.url(t, from), awsapi.QueueOptions{}), k.Queue(k.url(t, to), awsapi.QueueOptions{})
	m := message("x")
	if strings.HasSuffix(to, ".fifo") {
		m.GroupID, m.DeduplicationID = "g", "d"
	}
	if _, errs := next.Send(t.Context(), []queue.Message{m}); errors.Join(errs...) != nil {
		t.Fatal(errs)
	}
	if err := q.MayDelete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := q.MayChangeVisibility(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Receive(t.Context(), 1, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := k.QueueCounts(t.Context(), k.url(t, from)); err != nil {
		t.Fatal(err)
	}
}

// Every call of every role is allowed by its policy, and no policy of another role allows what it has no
// use for: each action of a policy is one that was used.
func TestAPolicyAllowsWhatItsRoleDoesAndNothingElse(t *testing.T) {
	for role, run := range runs {
		t.Run(role, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, _ := newWebKit(t)
				if role != topology.ProvisionerRole {
					k.apply(t, everything())
					k.stray(t, "nobodys", "email")
				}
				used := k.uses()
				run(t, k)
				want := everything()
				if role == topology.WorkerRole {
					want = scheduled(want)
				}
				p, actions := policyFor(t, want, role, false)
				spent := map[string]bool{}
				for _, u := range used() {
					spent[u.action] = true
					if !allowed(p, u) {
						t.Errorf("%s needs %s on %s", role, u.action, u.resource)
					}
				}
				for _, action := range actions {
					service, _, _ := strings.Cut(action, ":")
					if (service == "sqs" || service == "sns") && !spent[action] && !unseen[role+" "+action] {
						t.Errorf("%s may %s and has no use for it", role, action)
					}
				}
				// What is not of this topology is out of reach, but for reading.
				for _, u := range []use{
					{"sqs:ReceiveMessage", account.QueueARN("theirs")},
					{"sqs:SendMessage", account.QueueARN("theirs")},
					{"sqs:SetQueueAttributes", account.QueueARN("theirs")},
					{"sqs:DeleteQueue", account.QueueARN("email")},
					{"sns:Publish", account.TopicARN("theirs")},
					{"sns:SetTopicAttributes", account.TopicARN("theirs")},
					{"sns:DeleteTopic", account.TopicARN("news")},
				} {
					if allowed(p, u) {
						t.Errorf("%s may %s on %s", role, u.action, u.resource)
					}
				}
			})
		})
	}
}

// scheduled lets the worker publish to all that is FIFO.
func scheduled(t topology.Topology) topology.Topology {
	for i := range t.Topics {
		t.Topics[i].Scheduled = strings.HasSuffix(t.Topics[i].Name, ".fifo")
	}
	for i := range t.Queues {
		t.Queues[i].Scheduled = strings.HasSuffix(t.Queues[i].Name, ".fifo")
	}
	return t
}

// TestAWorkerMayPublishWhatIsScheduledAndNothingElse also asks about the keys, which the local AWS has not.
func TestAWorkerMayPublishWhatIsScheduledAndNothingElse(t *testing.T) {
	with := everything()
	with.Topics = append(with.Topics, topology.Topic{Name: "ticks.fifo", Attributes: map[string]string{"KmsMasterKeyId": "topic-key"}},
		topology.Topic{Name: "quiet", Attributes: map[string]string{"KmsMasterKeyId": "quiet-key"}})
	with.Queues = append(with.Queues, topology.Queue{
		Name: "reports.fifo", DLQ: "reports-dlq.fifo", MaxReceiveCount: 5,
	}, topology.Queue{Name: "bare.fifo", Attributes: map[string]string{"KmsMasterKeyId": "queue-key"}})
	without, _ := policyFor(t, with, topology.WorkerRole, false)
	p, _ := policyFor(t, scheduled(with), topology.WorkerRole, false)
	key := func(id string) string { return "arn:aws:kms:us-east-1:000000000000:key/" + id }
	for _, tt := range []struct {
		action, resource string
		without, with    bool
	}{
		{"sqs:SendMessage", account.QueueARN("reports.fifo"), false, true},
		{"sqs:SendMessage", account.QueueARN("reports-dlq.fifo"), true, true},
		{"sqs:SendMessage", account.QueueARN("email"), false, false},
		{"sns:Publish", account.TopicARN("ticks.fifo"), false, true},
		{"sns:Publish", account.TopicARN("orders.fifo"), false, true},
		{"sns:Publish", account.TopicARN("news"), false, false},
		{"kms:GenerateDataKey", key("topic-key"), false, true},
		{"kms:Decrypt", key("topic-key"), false, true},
		{"kms:GenerateDataKey", key("quiet-key"), false, false},
		{"kms:GenerateDataKey", key("queue-key"), false, true},
		{"kms:Decrypt", key("queue-key"), true, true}, // it receives from it
	} {
		u := use{tt.action, tt.resource}
		if got := [2]bool{allowed(without, u), allowed(p, u)}; got != [2]bool{tt.without, tt.with} {
			t.Errorf("%s on %s: allowed without and with schedules: %v, want %v and %v", u.action, u.resource, got, tt.without, tt.with)
		}
	}
}

// unseen are the permissions whose use is not on these runs.
var unseen = map[string]bool{
	// The ingress confirms, attaches and repairs the subscriptions of its paths.
	"worker sns:ConfirmSubscription": true, "worker sns:Subscribe": true, "worker sns:SetSubscriptionAttributes": true, "worker sns:Unsubscribe": true,
}

func TestOnlyAPolicyToPruneLetsDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, owned(true))
		p, actions := policyFor(t, owned(false), topology.ProvisionerRole, true)
		used := k.uses()
		k.apply(t, owned(false))
		doomed := k.unwanted(t, owned(false))
		if err := owned(false).Prune(t.Context(), k, account, doomed, nil); err != nil {
			t.Fatal(err)
		}
		for _, u := range used() {
			if !allowed(p, u) {
				t.Errorf("pruning needs %s on %s", u.action, u.resource)
			}
		}
		if !slices.Contains(actions, "sqs:DeleteQueue") {
			t.Errorf("actions %v", actions)
		}
		if p.Evaluate(iampolicy.Request{
			Principal: iampolicy.Principal{AWS: "arn:aws:iam::000000000000:role/r"}, Action: "sqs:DeleteQueue", Resource: account.QueueARN("theirs"),
			Context: map[string][]string{"aws:ResourceTag/stationmaster": {"other-team"}},
		}).Allowed {
			t.Error("it deletes the queues of other owners")
		}
	})
}

func TestPoliciesOfKeysAndRoles(t *testing.T) {
	want := everything()
	want.Topics[0].Attributes["KmsMasterKeyId"] = "1234abcd-12ab-34cd-56ef-1234567890ab"
	for role, lines := range map[string][]string{
		topology.WorkerRole: {
			`"kms:GenerateDataKey"`, `"kms:ResourceAliases": [`, `"alias/mail"`, `"arn:aws:kms:us-east-1:000000000000:key/*"`,
		},
		topology.PublisherRole:   {`"arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab"`, `"kms:GenerateDataKey*"`},
		topology.ProvisionerRole: {`"iam:PassRole"`, `"` + logRole + `"`, `"iam:PassedToService"`},
	} {
		text, err := want.Policy(role, account, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			if !strings.Contains(text, line) {
				t.Errorf("%s lacks %s:\n%s", role, line, text)
			}
		}
	}
	if _, err := want.Policy("admin", account, false); err == nil || !strings.Contains(err.Error(), "one of worker, operator, canary, replayer, provisioner, publisher") {
		t.Errorf("error %v", err)
	}
}
