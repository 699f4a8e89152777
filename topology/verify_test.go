package topology_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

func (k *kit) verify(t *testing.T, want topology.Topology) []topology.Finding {
	t.Helper()
	k.took()
	found, err := want.Verify(t.Context(), k, account)
	if err != nil {
		t.Fatal(err)
	}
	if calls := k.took(); len(calls) > 0 {
		t.Errorf("verify changed something: %v", texts(calls))
	}
	return found
}

func lines(found []topology.Finding) []string {
	all := []string{}
	for _, f := range found {
		all = append(all, f.Error())
	}
	return all
}

func TestVerifyTellsWhatIsMissing(t *testing.T) {
	world(t, func(t *testing.T) {
		k := newKit(t)
		const fix = ": does not exist; create it with: worker topology apply"
		found := k.verify(t, line())
		if diff := cmp.Diff([]string{
			"queue email-dlq" + fix, "queue invitations-email-delivery-dlq" + fix, "queue email" + fix, "topic invitations" + fix,
		}, lines(found)); diff != "" {
			t.Error(diff)
		}
		for _, f := range found {
			if !f.Missing || !errors.Is(f, queue.ErrNotFound) || f.Kind == "queue" && f.Queue != "email" {
				t.Errorf("finding %+v: want it missing, and email the one that suffers", f)
			}
		}
		k.apply(t, line())
		if found := k.verify(t, line()); len(found) > 0 {
			t.Errorf("after apply: %v", lines(found))
		}
		more := with(func(t *topology.Topology) {
			t.Queues = append(t.Queues, topology.Queue{Name: "theirs", Unmanaged: true}, topology.Queue{Name: "other", Unmanaged: true, URL: "http://localaws.test/000000000000/other"})
			t.Topics = append(t.Topics, topology.Topic{Name: "news", Unmanaged: true})
			t.Subscriptions = append(t.Subscriptions, topology.Subscription{Topic: "invitations", Queue: "theirs"}, topology.Subscription{Topic: "news", Queue: "email"})
		})
		const owner = "it is not managed here (manage = false): ask its owner, or correct its name"
		if diff := cmp.Diff([]string{
			"queue email: is not as declared: its policy does not let topic news send: no statement allows sqs:SendMessage to sns.amazonaws.com " +
				`(statement "stationmaster-sns": condition ArnEquals on aws:SourceArn); change it with: worker topology apply`,
			"queue theirs: does not exist; " + owner + ", url or arn", "queue other: does not exist; " + owner + ", url or arn", "topic news: does not exist; " + owner + " or arn",
			"subscription invitations → theirs" + fix,
		}, lines(k.verify(t, more))); diff != "" {
			t.Error(diff)
		}
	})
}

func TestVerifyTellsWhatIsDifferent(t *testing.T) {
	const fix = "; change it with: worker topology apply"
	for _, tt := range []struct {
		name string
		set  func(*testing.T, *kit)
		want []string
	}{
		{"attributes of a queue", func(t *testing.T, k *kit) {
			k.set(t, "email", map[string]string{"VisibilityTimeout": "30", "RedrivePolicy": ""})
		}, []string{"queue email: is not as declared: RedrivePolicy is missing, VisibilityTimeout is 30, not 60" + fix}},
		{"another DLQ", func(t *testing.T, k *kit) {
			k.set(t, "email", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:invitations-email-delivery-dlq","maxReceiveCount":15}`})
		}, []string{"queue email: is not as declared: RedrivePolicy is another" + fix}},
		{"no policy", func(t *testing.T, k *kit) {
			k.set(t, "invitations-email-delivery-dlq", map[string]string{"Policy": ""})
		}, []string{"queue invitations-email-delivery-dlq: is not as declared: its policy does not let topic invitations send: there is no policy" + fix}},
		{"somebody else's deny", func(t *testing.T, k *kit) {
			k.set(t, "email", map[string]string{"Policy": `{"Statement":[{"Sid":"no","Effect":"Deny","Principal":"*","Action":"sqs:SendMessage","Resource":"*"}]}`})
		}, []string{`queue email: is not as declared: its policy does not let topic invitations send: statement "no" denies sqs:SendMessage to sns.amazonaws.com` + fix}},
		{"somebody else's allow", func(t *testing.T, k *kit) {
			k.set(t, "email", map[string]string{"Policy": `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"}]}`})
		}, []string{}},
		{"a time that has passed", func(t *testing.T, k *kit) {
			k.set(t, "email", map[string]string{"Policy": allowIf(`{"DateLessThan":{"aws:CurrentTime":"1999-12-31"}}`)})
		}, []string{"queue email: is not as declared: its policy does not let topic invitations send: no statement allows sqs:SendMessage to sns.amazonaws.com " +
			`(statement "odd": condition DateLessThan on aws:CurrentTime)` + fix}},
		{"attributes of a topic", func(t *testing.T, k *kit) {
			if err := k.SetTopicAttribute(t.Context(), account.TopicARN("invitations"), "SignatureVersion", "1"); err != nil {
				t.Fatal(err)
			}
		}, []string{"topic invitations: is not as declared: SignatureVersion is 1, not 2" + fix}},
		{"a subscription", func(t *testing.T, k *kit) {
			arn := k.subscribed(t, "invitations")[account.QueueARN("email")]
			for _, a := range [][2]string{{"RawMessageDelivery", "true"}, {"RedrivePolicy", otherDLQ}, {"FilterPolicy", `{"event":["user_left"]}`}, {"FilterPolicyScope", "MessageAttributes"}} {
				if err := k.SetSubscriptionAttribute(t.Context(), arn, a[0], a[1]); err != nil {
					t.Fatal(err)
				}
			}
		}, []string{"subscription invitations → email: is not as declared: FilterPolicy is another, FilterPolicyScope is MessageAttributes, not MessageBody, " +
			"RawMessageDelivery is true, not false, RedrivePolicy is another" + fix}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			world(t, func(t *testing.T) {
				k := newKit(t)
				k.apply(t, line())
				tt.set(t, k)
				found := k.verify(t, line())
				if diff := cmp.Diff(tt.want, lines(found)); diff != "" {
					t.Error(diff)
				}
				for _, f := range found {
					if f.Missing || f.Err != nil || len(f.Different) == 0 {
						t.Errorf("finding %+v: want it different and nothing else", f)
					}
				}
				if strings.HasPrefix(tt.name, "somebody") {
					return // what others wrote is theirs to change
				}
				k.apply(t, line())
				if found := k.verify(t, line()); len(found) > 0 {
					t.Errorf("after apply: %v", lines(found))
				}
			})
		})
	}
}

// allowIf is somebody's policy, which lets everybody in under a condition.
func allowIf(condition string) string {
	return `{"Statement":[{"Sid":"odd","Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*","Condition":` + condition + `}]}`
}

// TestVerifyTellsAConditionThatNobodyKnowsHere: AWS took it, and may let the topic in by it.
func TestVerifyTellsAConditionThatNobodyKnowsHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStub()
		if _, err := line().Apply(t.Context(), s, account, nil); err != nil {
			t.Fatal(err)
		}
		s.queues[stubURL+"email"]["Policy"] = allowIf(`{"OddEquals":{"aws:SourceArn":"b"}}`)
		found, err := line().Verify(t.Context(), s, account)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{
			"queue email: is not as declared: its policy may keep topic invitations out: no statement allows sqs:SendMessage to sns.amazonaws.com " +
				`(statement "odd": condition OddEquals on aws:SourceArn); not understood: condition OddEquals on aws:SourceArn: OddEquals is no operator; change it with: worker topology apply`,
		}, lines(found)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestVerifyTellsAFilterThatNobodyDeclared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, line())
		bare := with(func(t *topology.Topology) {
			s := &t.Subscriptions[0]
			s.Filter, s.FilterOn, s.DLQ = "", "", ""
		})
		if diff := cmp.Diff([]string{
			"subscription invitations → email: is not as declared: FilterPolicy is set, RedrivePolicy is set; change it with: worker topology apply",
		}, lines(k.verify(t, bare))); diff != "" {
			t.Error(diff)
		}
	})
}

func (k *kit) set(t *testing.T, name string, attributes map[string]string) {
	t.Helper()
	if err := k.SetQueueAttributes(t.Context(), k.url(t, name), attributes); err != nil {
		t.Fatal(err)
	}
}

// TestVerifyGoesOnWhereItMayNotLook: a worker needs none of these permissions to work.
func TestVerifyGoesOnWhereItMayNotLook(t *testing.T) {
	for action, want := range map[string][]string{
		"GetQueueUrl":               {"queue email-dlq", "queue invitations-email-delivery-dlq", "queue email"},
		"GetQueueAttributes":        {"queue email-dlq", "queue invitations-email-delivery-dlq", "queue email"},
		"GetTopicAttributes":        {"topic invitations"},
		"ListSubscriptionsByTopic":  {"subscription invitations → email"},
		"GetSubscriptionAttributes": {"subscription invitations → email"},
	} {
		for name, answer := range map[string]struct {
			fault localaws.Fault
			fix   string
		}{
			"denied":    {localaws.Fault{Status: 403, Code: "AccessDenied", Message: "no"}, "allow s"},
			"throttled": {localaws.Fault{Status: 400, Code: "Throttled", Message: "slow down"}, "too many ask at once: look again later"},
		} {
			t.Run(action+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k := newKit(t)
					k.apply(t, line())
					k.server.Control(action, func(*localaws.Request) *localaws.Fault { return &answer.fault })
					found := k.verify(t, line())
					if len(found) != len(want) {
						t.Fatalf("found %v", lines(found))
					}
					for i, f := range found {
						if !strings.HasPrefix(f.Error(), want[i]+": cannot be verified: ") || f.Missing || !strings.HasPrefix(f.Fix, answer.fix) {
							t.Errorf("finding %v", f)
						}
						if name == "denied" && !strings.HasSuffix(f.Fix, ":"+action+" to this worker's role") {
							t.Errorf("fix %q, want the permission %s", f.Fix, action)
						}
					}
				})
			})
		}
	}
}

func TestVerifyEndsWhereNothingCanBeAsked(t *testing.T) {
	for action, says := range map[string]string{
		"GetQueueUrl": "find queue ", "GetQueueAttributes": "read the attributes of ", "GetTopicAttributes": "read the attributes of topic invitations",
		"ListSubscriptionsByTopic": "list the subscriptions of invitations", "GetSubscriptionAttributes": "read the attributes of subscription",
	} {
		synctest.Test(t, func(t *testing.T) {
			k := newKit(t)
			k.apply(t, line())
			k.server.Control(action, func(*localaws.Request) *localaws.Fault { return &localaws.Fault{Status: 500} })
			_, err := line().Verify(t.Context(), k, account)
			if err == nil || !strings.HasPrefix(err.Error(), "verify topology: "+says) {
				t.Errorf("%s: error %v", action, err)
			}
		})
	}
	if _, err := (topology.Topology{Queues: []topology.Queue{{Name: " "}}}).Verify(t.Context(), newStub(), account); err == nil || !strings.HasPrefix(err.Error(), "verify topology: queue") {
		t.Errorf("an invalid topology: %v", err)
	}
}

// TestVerifyAsksOncePerTopic: many workers start at once, and SNS allows 30 lists a second.
func TestVerifyAsksOncePerTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		want := with(func(t *topology.Topology) {
			for _, name := range []string{"a", "b", "c"} {
				t.Queues = append(t.Queues, topology.Queue{Name: name})
				t.Subscriptions = append(t.Subscriptions, topology.Subscription{Topic: "invitations", Queue: name})
			}
		})
		k.apply(t, want)
		lists := 0
		k.server.Control("ListSubscriptionsByTopic", func(*localaws.Request) *localaws.Fault { lists++; return nil })
		if found := k.verify(t, want); len(found) > 0 || lists != 1 {
			t.Errorf("%d lists, found %v", lists, lines(found))
		}
	})
}
