package doctor_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/doctor"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

func (k *kit) prove(ctx context.Context, t *testing.T, wanted topology.Topology) []doctor.Proof {
	t.Helper()
	spread := time.Minute
	if other != nil {
		spread = 0 // there are no servers to spread over
	}
	state := k.observed(t, wanted) //nolint:contextcheck // ctx is that of the canary, which may end early
	c := doctor.Canary{
		AWS: k.Client, Wait: 30 * time.Second, Settle: spread,
		Receiver: func(url string) queue.Receiver { return k.Queue(url, awsapi.QueueOptions{Visibility: time.Minute}) },
	}
	return c.Prove(ctx, doctor.Options{Topology: wanted, State: state})
}

// untouched checks that work queues got nothing and that nothing was left behind.
func (k *kit) untouched(t *testing.T, wanted topology.Topology) {
	t.Helper()
	for _, q := range wanted.Queues {
		for _, name := range []string{q.Name, q.DLQ} {
			if got := k.take(t, name, 0); len(got) > 0 {
				t.Errorf("queue %s got %q", name, got)
			}
		}
	}
	urls, err := k.Queues(t.Context())
	must(t, err)
	arns, err := k.Topics(t.Context())
	must(t, err)
	for _, name := range append(urls, arns...) {
		if strings.Contains(name, "canary") {
			t.Errorf("left behind: %s", name)
		}
	}
	for _, topic := range wanted.Topics {
		all, err := k.TopicSubscriptions(t.Context(), account.TopicARN(topic.Name))
		must(t, err)
		for _, s := range all {
			if strings.Contains(s.Endpoint, "canary") && s.ARN != "Deleted" {
				t.Errorf("left behind: subscription %s", s.Endpoint)
			}
		}
	}
}

// A canary proves each line, and no work queue sees it.
func TestCanary(t *testing.T) {
	world(t, func(t *testing.T) {
		k, wanted := newKit(t, localaws.Options{}), fifty()
		for i := range wanted.Queues {
			wanted.Queues[i].Attributes = nil // a key needs KMS
		}
		k.apply(t, wanted)
		proofs := k.prove(t.Context(), t, wanted)
		if len(proofs) != 55 {
			t.Errorf("%d proofs, want 55", len(proofs))
		}
		for _, p := range proofs {
			if !p.Arrived || p.Err != nil || !p.Copy {
				t.Errorf("%+v", p)
			}
		}
		k.untouched(t, wanted)
	})
}

// Where filters keep everybody else away, the canary goes by the topic itself.
func TestCanaryByTheTopicItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, localaws.Options{})
		wanted := orders(func(w *topology.Topology) {
			w.Subscriptions[0].Filter, w.Subscriptions[0].FilterOn = `{"event":["user_invited"]}`, "body"
		})
		k.apply(t, wanted)
		published := 0
		k.server.Control("Publish", func(r *localaws.Request) *localaws.Fault {
			if r.Target == account.TopicARN("orders") {
				published++
			}
			return nil
		})
		proofs := k.prove(t.Context(), t, wanted)
		if len(proofs) != 1 || !proofs[0].Arrived || proofs[0].Copy || proofs[0].Err != nil || published != 1 {
			t.Errorf("published %d times: %+v", published, proofs)
		}
		k.untouched(t, wanted)
	})
}

// What keeps real messages out keeps the canary out; a canary that may not be made proves nothing; one that
// is cut short leaves nothing behind.
func TestCanaryThatDoesNotArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, wanted := newKit(t, localaws.Options{}), orders()
		k.apply(t, wanted)
		policy := k.policy(t, "mail")
		k.setPolicy(t, "mail", "")
		p := k.prove(t.Context(), t, wanted)
		if len(p) != 1 || p[0].Arrived || p[0].Err != nil || p[0].Why == "" {
			t.Errorf("%+v", p)
		}
		if r := (doctor.Report{Proofs: p}); r.ExitCode() != doctor.ExitLost {
			t.Errorf("exit code %d", r.ExitCode())
		}
		k.setPolicy(t, "mail", policy)

		denied := true
		k.server.Control("CreateQueue", func(*localaws.Request) *localaws.Fault {
			if denied {
				return &localaws.Fault{Status: 403, Code: "AccessDenied"}
			}
			return nil
		})
		p = k.prove(t.Context(), t, wanted)
		if len(p) != 1 || !errors.Is(p[0].Err, queue.ErrDenied) {
			t.Errorf("%+v", p)
		}
		if r := (doctor.Report{Proofs: p}); r.ExitCode() != doctor.ExitWarnings {
			t.Errorf("exit code %d", r.ExitCode())
		}
		denied = false
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // while it settles
		defer cancel()
		p = k.prove(ctx, t, wanted)
		if len(p) != 1 || !errors.Is(p[0].Err, context.DeadlineExceeded) {
			t.Errorf("%+v", p)
		}
		k.untouched(t, wanted)
	})
}

// A line from a topic of another account, with and without filters that keep others away; and one that leads
// to a queue of another account: the canary's queue is ours in each case, and so is what lets it in.
func TestCanaryAcrossAccounts(t *testing.T) {
	const theirs = "111122223333"
	topicARN := "arn:aws:sns:us-east-1:" + theirs + ":orders"
	for name, row := range map[string]struct {
		filter string
		policy string // of the queue, when it is not as apply makes it
		byCopy bool
	}{
		"by the topic itself": {filter: `{"event":["user_invited"]}`},
		"by a copy":           {byCopy: true},
		"by a copy, and the policy names the account": {byCopy: true, policy: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},
			"Action":"sqs:SendMessage","Resource":"` + account.QueueARN("mail") + `","Condition":{"StringEquals":{"aws:SourceAccount":"` + theirs + `"}}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t, localaws.Options{})
				them := k.as(theirs)
				_, err := them.CreateTopic(t.Context(), "orders", nil, nil)
				must(t, err)
				must(t, them.SetTopicAttribute(t.Context(), topicARN, "Policy", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"000000000000"},
					"Action":["sns:Subscribe","sns:Publish","sns:GetTopicAttributes","sns:ListSubscriptionsByTopic"],"Resource":"`+topicARN+`"}}`))
				wanted := orders(func(w *topology.Topology) {
					w.Topics[0].ARN, w.Topics[0].Unmanaged = topicARN, true
					if row.filter != "" {
						w.Subscriptions[0].Filter, w.Subscriptions[0].FilterOn = row.filter, "body"
					}
				})
				k.apply(t, wanted)
				if row.policy != "" {
					k.setPolicy(t, "mail", row.policy)
				}
				if r := k.examine(t, wanted); len(r.Findings) > 0 {
					t.Errorf("found %v", r.Findings)
				}
				proofs := k.prove(t.Context(), t, wanted)
				if len(proofs) != 1 || !proofs[0].Arrived || proofs[0].Copy != row.byCopy || proofs[0].Err != nil {
					t.Errorf("%+v", proofs)
				}
				if lost := k.lost(); len(lost) > 0 {
					t.Errorf("lost %+v", lost)
				}
				// What keeps the messages of the topic out keeps the canary out.
				k.setPolicy(t, "mail", "")
				if proofs := k.prove(t.Context(), t, wanted); len(proofs) != 1 || proofs[0].Arrived {
					t.Errorf("without a policy: %+v", proofs)
				}
			})
		})
	}
	t.Run("to a queue of theirs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			k := newKit(t, localaws.Options{})
			them := k.as(theirs)
			url, err := them.CreateQueue(t.Context(), "mail", map[string]string{"Policy": `{"Version":"2012-10-17","Statement":[
				{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*","Condition":{"ArnEquals":{"aws:SourceArn":"` + account.TopicARN("orders") + `"}}},
				{"Effect":"Allow","Principal":{"AWS":"000000000000"},"Action":["sqs:GetQueueUrl","sqs:GetQueueAttributes"],"Resource":"*"}]}`}, nil)
			must(t, err)
			wanted := orders(func(w *topology.Topology) {
				w.Queues[0] = topology.Queue{Name: "mail", ARN: "arn:aws:sqs:us-east-1:" + theirs + ":mail", Unmanaged: true}
			})
			if _, err := wanted.Apply(t.Context(), k, account, nil); !errors.Is(err, topology.ErrPending) {
				t.Fatal(err)
			}
			got, err := them.Queue(url, awsapi.QueueOptions{}).Receive(t.Context(), 1, time.Second)
			must(t, err)
			var asked struct{ Token string }
			must(t, json.Unmarshal([]byte(got[0].Body), &asked))
			_, err = them.ConfirmSubscription(t.Context(), account.TopicARN("orders"), asked.Token)
			must(t, err)
			proofs := k.prove(t.Context(), t, wanted)
			if len(proofs) != 1 || !proofs[0].Arrived || proofs[0].Err != nil {
				t.Errorf("%+v", proofs)
			}
		})
	})
}

// Satisfying makes up messages for what filters say.
func TestSatisfying(t *testing.T) {
	for _, filter := range []string{
		`{"a":["x"]}`, `{"a":[5]}`, `{"a":[{"prefix":"x"}]}`, `{"a":[{"suffix":"x"}]}`, `{"a":[{"equals-ignore-case":"X"}]}`,
		`{"a":[{"numeric":["=",5]}]}`, `{"a":[{"numeric":[">",5]}]}`, `{"a":[{"numeric":[">",0,"<",1]}]}`, `{"a":[{"numeric":["<",-5.5]}]}`,
		`{"a":[{"exists":true}]}`, `{"a":[{"exists":false}],"b":["x"]}`, `{"a":[{"anything-but":["x"]}]}`, `{"a":[{"anything-but":[1,2]}]}`,
		`{"a":[{"anything-but":{"prefix":"s"}}]}`, `{"a":[{"cidr":"10.0.0.0/24"}]}`, `{"a":[{"wildcard":"a*b"}]}`, `{"$or":[{"a":["x"]},{"b":["y"]}],"c":["z"]}`, `{"a":[true]}`,
	} {
		for _, on := range []string{"attributes", "body"} {
			if m, err := doctor.Satisfying(filter, on); err != nil {
				t.Errorf("%s on %s: %v: %+v", filter, on, err, m)
			}
		}
	}
	if m, err := doctor.Satisfying(`{"a":{"b":[{"exists":true}],"c":[{"numeric":[">=",1]}]}}`, "body"); err != nil {
		t.Errorf("nested: %v: %+v", err, m)
	}
	if _, err := doctor.Satisfying(`{"a":`, "body"); err == nil {
		t.Error("a filter that is none has a message")
	}
}

// Samples are read strictly, and run through the filters.
func TestSamples(t *testing.T) {
	samples, err := doctor.ReadSamples(strings.NewReader(`{"topic":"orders","for":["mail"],"body":{"event":"user_left"},"attributes":{"event":"user_invited","n":1,"l":["a"],"b":{"type":"Binary","value":"eA=="}}}
		{"body":"text","dedup_id":"1"}`), "s.json")
	must(t, err)
	if len(samples) != 2 || samples[0].Body != `{"event":"user_left"}` || samples[1].Body != "text" || samples[0].Attributes["n"] != (doctor.Attribute{Type: "Number", Value: "1"}) {
		t.Errorf("got %+v", samples)
	}
	const form = `: each sample is an object like {"body": `
	for bad, want := range map[string]string{
		"":                                     "sample s.json: is empty" + form,
		"{":                                    "sample s.json:1: unexpected EOF" + form,
		"[1]":                                  "sample s.json:1: is no object but array" + form,
		`{"body":""}`:                          "sample s.json:1: has no body" + form,
		`{"event":"x"}`:                        `sample s.json:1: a sample has no key "event" (a whole message belongs under body)` + form,
		`{"body":"x","for":"mail"}`:            "sample s.json:1: for is no string" + form,
		`{"body":"x","attributes":{"a":true}}`: "an attribute is a text",
		`{"body":"x","attributes":{"a":{"type":1}}}`: "an attribute is a text",
	} {
		if _, err := doctor.ReadSamples(strings.NewReader(bad), "s.json"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, localaws.Options{})
		wanted := orders(func(w *topology.Topology) {
			w.Subscriptions[0].Filter, w.Subscriptions[0].FilterOn = `{"event":["user_invited"]}`, "body"
		})
		k.apply(t, wanted)
		r := k.examine(t, wanted, func(o *doctor.Options) { o.Samples = samples[:1] })
		if len(r.Findings) != 1 || r.Findings[0].Code != "D-12" || !strings.Contains(r.Findings[0].Evidence[0], "s.json:1") {
			t.Errorf("got %v", r.Findings)
		}
		samples[0].For = []string{"other"}
		if r := k.examine(t, wanted, func(o *doctor.Options) { o.Samples = samples[:1] }); len(r.Findings) > 0 {
			t.Errorf("it is not for mail: %v", r.Findings)
		}
	})
}
