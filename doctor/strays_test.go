package doctor_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/doctor"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// What leads to a queue past the topics of the topology is D-21, with the command that mends it: by a topic
// that nobody has declared, by one that was deleted, and by one that was made again.
func TestStraySubscriptions(t *testing.T) {
	news := account.TopicARN("news")
	subscribe := func(t *testing.T, k *kit) string {
		_, err := k.CreateTopic(t.Context(), "news", nil, nil)
		must(t, err)
		arn, err := k.Subscribe(t.Context(), news, "sqs", account.QueueARN("mail"), nil)
		must(t, err)
		return arn
	}
	for name, row := range map[string]struct {
		stray              func(t *testing.T, k *kit) (arn string)
		evidence, happens  string
		mend               string
		comes, comesByNews int // messages in the queue, of one to each topic
	}{
		"another topic, kept out": {
			stray: subscribe, evidence: "the topic is not declared", happens: "the queue does not let that topic in",
			mend: "declare its topic and it, or unsubscribe it", comes: 1,
		},
		"another topic, let in": {
			stray: func(t *testing.T, k *kit) string {
				k.setPolicy(t, "mail", strings.ReplaceAll(k.policy(t, "mail"), `:orders"`, `:*"`))
				k.setPolicy(t, "mail", strings.ReplaceAll(k.policy(t, "mail"), "ArnEquals", "ArnLike"))
				return subscribe(t, k)
			},
			evidence: "the topic is not declared", happens: "twice, or without a job that knows it",
			mend: "declare its topic and it, or unsubscribe it", comes: 1, comesByNews: 1,
		},
		"an orphan": {
			stray: func(t *testing.T, k *kit) string {
				arn := subscribe(t, k)
				must(t, k.DeleteTopic(t.Context(), news))
				return arn
			},
			evidence: "SNS: there is no such topic", happens: "nothing comes by it", mend: "unsubscribe it", comes: 1,
		},
		"a topic made again": {
			stray: func(t *testing.T, k *kit) string {
				arn := k.subscription(t, "orders", account.QueueARN("mail"))
				must(t, k.DeleteTopic(t.Context(), account.TopicARN("orders")))
				k.apply(t, orders())
				return arn
			},
			evidence: "ListSubscriptionsByTopic: it is not listed", happens: "AWS does not say", mend: "unsubscribe it", comes: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, wanted := newKit(t, localaws.Options{}), orders()
				k.apply(t, wanted)
				arn := row.stray(t, k)
				r := k.examine(t, wanted)
				if diff := cmp.Diff([]string{"D-21"}, codes(r)); diff != "" {
					t.Fatalf("findings (-want +got):\n%s\n%v", diff, r.Findings)
				}
				f := r.Findings[0]
				if f.Severity != doctor.Medium || !strings.Contains(f.Evidence[0], arn) || f.Evidence[1] != row.evidence && !strings.Contains(f.Evidence[1], row.evidence) || !strings.Contains(f.Happens, row.happens) {
					t.Errorf("finding %+v", f)
				}
				if want := []string{"aws sns unsubscribe --subscription-arn " + arn}; f.Mend.Text != row.mend || !slices.Equal(f.Mend.AWS, want) {
					t.Errorf("mend %+v, want %s", f.Mend, want)
				}
				k.publish(t, "once", nil)
				if got := k.bodies(t, "mail"); len(got) != row.comes {
					t.Errorf("%d messages in the queue, want %d", len(got), row.comes)
				}
				if _, err := k.Publish(t.Context(), news, queue.Message{Body: "news"}); err == nil {
					if got := k.bodies(t, "mail"); len(got) != row.comesByNews {
						t.Errorf("%d messages of the other topic, want %d", len(got), row.comesByNews)
					}
				}
				must(t, k.Unsubscribe(t.Context(), arn))
				if r := k.examine(t, wanted); len(r.Findings) > 0 {
					t.Errorf("after the command: %v", r.Findings)
				}
			})
		})
	}
}

// What nobody may list, and what is too much to look through, is unknown for D-21, and never right.
func TestStraysThatNobodyCanSee(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, wanted := newKit(t, localaws.Options{}), orders()
		k.apply(t, wanted)
		unknown := func(r *doctor.Report) (u doctor.Unknown) {
			i := slices.IndexFunc(r.Unknown, func(u doctor.Unknown) bool { return slices.Equal(u.Codes, []string{"D-21"}) })
			if i < 0 || len(r.Findings) > 0 {
				t.Fatalf("findings %v, unknown %+v", r.Findings, r.Unknown)
			}
			return r.Unknown[i]
		}
		r := k.examine(t, wanted, func(o *doctor.Options) { o.State.MoreStrays = true })
		if u := unknown(r); u.Refused || !strings.Contains(u.Reason, "more than the 5000") || !strings.Contains(u.Mend, "aws sns list-subscriptions") {
			t.Errorf("unknown %+v", u)
		}
		k.server.Control("ListSubscriptions", func(*localaws.Request) *localaws.Fault {
			return &localaws.Fault{Status: 403, Code: "AuthorizationError", Message: "no"}
		})
		r = k.examine(t, wanted)
		if u := unknown(r); !u.Refused || u.Reason != "sns:ListSubscriptions is denied" || r.ExitCode() != doctor.ExitWarnings {
			t.Errorf("exit code %d, unknown %+v", r.ExitCode(), u)
		}
		// Nobody has looked when a worker starts: that is not said each time.
		s, err := wanted.Observe(t.Context(), k.Client, account, topology.ObserveOptions{Brief: true})
		must(t, err)
		r = examine(t, doctor.Options{Topology: wanted, State: s, Work: workOf(wanted), Brief: true, Local: true})
		if slices.ContainsFunc(r.Unknown, func(u doctor.Unknown) bool { return slices.Contains(u.Codes, "D-21") }) {
			t.Errorf("unknown %+v", r.Unknown)
		}
	})
}
