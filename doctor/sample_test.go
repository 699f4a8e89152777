package doctor_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/doctor"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/topology"
)

// three are topics with filters of their own, one that gives everything to its queue, and one FIFO.
func three() topology.Topology {
	filtered := func(topic, to, event string) topology.Subscription {
		return topology.Subscription{Topic: topic, Queue: to, DLQ: topology.DeliveryDLQName(topic, to), Filter: `{"event":["` + event + `"]}`, FilterOn: "body"}
	}
	return topology.Topology{
		Topics: []topology.Topic{{Name: "orders"}, {Name: "users"}, {Name: "log"}, {Name: "bills.fifo"}},
		Queues: []topology.Queue{
			{Name: "mail", DLQ: "mail-dlq", MaxReceiveCount: 15},
			{Name: "ship", DLQ: "ship-dlq", MaxReceiveCount: 15},
			{Name: "all", DLQ: "all-dlq", MaxReceiveCount: 15},
			{Name: "bill.fifo", DLQ: "bill-dlq.fifo", MaxReceiveCount: 15},
		},
		Subscriptions: []topology.Subscription{
			filtered("orders", "mail", "paid"), filtered("orders", "ship", "packed"), filtered("users", "mail", "invited"),
			{Topic: "log", Queue: "all", DLQ: "log-all-delivery-dlq"},
			{Topic: "bills.fifo", Queue: "bill.fifo", DLQ: "bills-bill-delivery-dlq.fifo"},
		},
	}
}

// A sample is held against the topic that it names. Without one it is wrong only where it is wrong by each
// topic that it may be meant for, and what nobody can tell is said.
func TestASampleIsHeldAgainstItsTopic(t *testing.T) {
	const paid, odd = `{"event":"paid"}`, `{"event":"odd"}`
	withoutLog := func(w *topology.Topology) {
		w.Topics, w.Subscriptions = w.Topics[:2], w.Subscriptions[:3]
	}
	for name, row := range map[string]struct {
		sample  doctor.Sample
		wanted  func(*topology.Topology)
		found   []string // code and subject
		says    string   // of the first finding's evidence
		unknown string
	}{
		"its topic lets it through":       {sample: doctor.Sample{Topic: "orders", Body: paid}},
		"its topic stops it":              {sample: doctor.Sample{Topic: "users", Body: paid}, found: []string{"D-12 subscription users → mail"}, says: "published to topic users"},
		"each subscription stops it":      {sample: doctor.Sample{Topic: "orders", Body: odd}, found: []string{"D-12 subscription orders → mail", "D-12 subscription orders → ship"}},
		"a queue must get it":             {sample: doctor.Sample{Topic: "orders", For: []string{"ship"}, Body: paid}, found: []string{"D-12 subscription orders → ship"}},
		"one of two queues gets it":       {sample: doctor.Sample{Topic: "orders", For: []string{"mail", "ship"}, Body: paid}, found: []string{"D-12 subscription orders → ship"}},
		"the queues that must do":         {sample: doctor.Sample{Topic: "orders", For: []string{"mail"}, Body: paid}},
		"no line leads there":             {sample: doctor.Sample{Topic: "orders", For: []string{"all"}, Body: paid}, unknown: "D-12: no subscription leads to all"},
		"no topic, and all of them do":    {sample: doctor.Sample{Body: `{"event":"x"}`, For: []string{"all"}}},
		"no topic, and nobody can tell":   {sample: doctor.Sample{Body: odd, Dedup: "1"}, unknown: "D-12: it names no topic, and is all right when it is published to log, bills.fifo, not to orders, users"},
		"no topic, and FIFO refuses it":   {sample: doctor.Sample{Body: odd}, unknown: "D-12 Q-19: it names no topic, and is all right when it is published to log, not to orders, users, bills.fifo"},
		"no topic, and none lets it":      {sample: doctor.Sample{Body: odd}, wanted: withoutLog, found: []string{"D-12 subscription orders → mail", "D-12 subscription orders → ship", "D-12 subscription users → mail"}},
		"no topic, and those that do":     {sample: doctor.Sample{For: []string{"mail"}, Body: paid}, unknown: "D-12: it names no topic, and is all right when it is published to orders, not to users"},
		"no topic, for one that has one":  {sample: doctor.Sample{For: []string{"ship"}, Body: odd}, found: []string{"D-12 subscription orders → ship"}},
		"a FIFO topic without line to it": {sample: doctor.Sample{Topic: "bills.fifo", Body: odd}, found: []string{"Q-19 topic bills.fifo"}},
		"a topic that nobody declared":    {sample: doctor.Sample{Topic: "nowhere", Body: odd}, unknown: "D-12: topic nowhere is not declared"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, wanted := newKit(t, localaws.Options{}), three()
				if row.wanted != nil {
					row.wanted(&wanted)
				}
				k.apply(t, wanted)
				row.sample.Name = "s.json:1"
				r := k.examine(t, wanted, func(o *doctor.Options) { o.Samples = []doctor.Sample{row.sample} })
				var found, unknown []string
				for _, f := range r.Findings {
					found = append(found, f.Code+" "+f.Subject)
				}
				for _, u := range r.Unknown {
					if slices.Contains(u.Subjects, "sample s.json:1") {
						unknown = append(unknown, strings.Join(u.Codes, " ")+": "+u.Reason)
					}
				}
				if diff := cmp.Diff(row.found, found); diff != "" {
					t.Errorf("found: %s", diff)
				}
				if got := strings.Join(unknown, "; "); got != row.unknown {
					t.Errorf("unknown: %q, want %q", got, row.unknown)
				}
				if row.says != "" && !strings.Contains(strings.Join(r.Findings[0].Evidence, "\n"), row.says) {
					t.Errorf("evidence %q does not say %q", r.Findings[0].Evidence, row.says)
				}
			})
		})
	}
}

// What is otherwise than declared says what it does to a message.
func TestADifferenceSaysWhatItDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, localaws.Options{})
		wanted := orders(func(w *topology.Topology) {
			w.Queues[0].Attributes = map[string]string{"DelaySeconds": "5", "ReceiveMessageWaitTimeSeconds": "20"}
		})
		k.apply(t, wanted)
		must(t, k.SetQueueAttributes(t.Context(), k.url(t, "mail"), map[string]string{
			"VisibilityTimeout": "30", "DelaySeconds": "0", "ReceiveMessageWaitTimeSeconds": "5",
			"RedrivePolicy": `{"deadLetterTargetArn":"` + account.QueueARN("mail-dlq") + `","maxReceiveCount":20}`,
		}))
		r := k.examine(t, wanted)
		want := []string{
			"whoever receives it without saying for how long hides it for 30s, not for 1m", "it stays hidden for 0s after it was sent, not for 5s",
			"a receive waits for it for 5s, not for 20s, where the receiver does not say",
			"SQS moves it to mail-dlq after 20 receives, not to mail-dlq after 15 receives",
		}
		i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool { return f.Code == "Q-36" })
		if i < 0 {
			t.Fatal(codes(r))
		}
		if diff := cmp.Diff(want, strings.Split(r.Findings[i].Happens, "; ")); diff != "" {
			t.Error(diff)
		}
	})
}
