package doctor_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/iampolicy"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/topology"
)

// The command that mends D-04 names the topic's region and keeps the other topics of the statement in: it
// once put the one in the place of the other.
func TestTheMendOfARegionKeepsOtherTopicsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, localaws.Options{})
		wanted := orders(func(w *topology.Topology) {
			w.Topics = append(w.Topics, topology.Topic{Name: "news"})
			w.Subscriptions = append(w.Subscriptions, topology.Subscription{Topic: "news", Queue: "mail", DLQ: "news-mail-delivery-dlq"})
		})
		k.apply(t, wanted)
		s := k.observed(t, wanted)
		const far = "arn:aws:sns:me-south-1:000000000000:news"
		s.Topics["news"].ARN = far
		mail := s.Queues["mail"].Attributes
		mail["Policy"] = strings.ReplaceAll(mail["Policy"], account.TopicARN("news"), far)
		net := s.Queues["news-mail-delivery-dlq"].Attributes
		net["Policy"] = strings.NewReplacer(account.TopicARN("news"), far, "sns.amazonaws.com", "sns.me-south-1.amazonaws.com").Replace(net["Policy"])
		r := examine(t, examineOptions(wanted, s))
		if diff := cmp.Diff([]string{"D-04"}, codes(r)); diff != "" {
			t.Fatalf("findings (-want +got):\n%s\n%v", diff, r.Findings)
		}
		m := r.Findings[0].Mend
		_, attributes, _ := strings.Cut(m.AWS[0], " --attributes '")
		var set map[string]string
		if err := json.Unmarshal([]byte(strings.TrimSuffix(attributes, "'")), &set); err != nil || !m.Apply {
			t.Fatalf("%v: %+v", err, m)
		}
		p, err := iampolicy.Parse(set["Policy"])
		must(t, err)
		for arn, service := range map[string]string{far: "sns.me-south-1.amazonaws.com", account.TopicARN("orders"): "sns.amazonaws.com"} {
			if d := p.Authorize(iampolicy.Delivery(service, arn, account.ID, account.QueueARN("mail"), time.Now())); !d.Allowed {
				t.Errorf("%s is kept out: %s\n%s", arn, d.Why, set["Policy"])
			}
		}
	})
}
