package iampolicy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stationmaster/worker/internal/iampolicy"
)

// Topics of several regions are let in by one statement for each name by which SNS comes. Merged into a
// policy, they are so at once and for good, and what had been let in before stays.
func TestAdmissionNamesSNSAsItComes(t *testing.T) {
	topic := func(region, name string) string { return "arn:aws:sns:" + region + ":123456789012:" + name }
	const q = "arn:aws:sqs:us-east-1:123456789012:work"
	here, cape, bahrain := topic("us-east-1", "a"), topic("af-south-1", "b"), topic("me-south-1", "c")
	all := iampolicy.Admission(q, here, cape, bahrain, topic("eu-west-1", "d"))
	var sids []string
	for _, s := range all {
		sids = append(sids, s.Sid+" "+s.Principal["Service"])
	}
	want := []string{
		"stationmaster-sns-af-south-1 sns.af-south-1.amazonaws.com", "stationmaster-sns sns.amazonaws.com", "stationmaster-sns-me-south-1 sns.me-south-1.amazonaws.com",
	}
	if !slices.Equal(sids, want) {
		t.Errorf("statements %q, want %q", sids, want)
	}
	// As it was written before, with the topic of a region that does not come by that name.
	old := iampolicy.Statement{
		Sid: "stationmaster-sns", Effect: "Allow", Principal: map[string]string{"Service": "sns.amazonaws.com"}, Action: "sqs:SendMessage", Resource: q,
		Condition: map[string]map[string][]string{"ArnEquals": {"aws:SourceArn": {here, cape}}},
	}
	before, _, err := iampolicy.Merge("", old)
	if err != nil {
		t.Fatal(err)
	}
	merged, changed, err := iampolicy.Merge(before, all...)
	if err != nil || !changed {
		t.Fatal(merged, changed, err)
	}
	if again, changed, err := iampolicy.Merge(merged, all...); err != nil || changed || again != merged {
		t.Errorf("merged again: changed %v, %v", changed, err)
	}
	if _, err := iampolicy.Accept(merged, q); err != nil {
		t.Error(err)
	}
	p, err := iampolicy.Parse(merged)
	if err != nil {
		t.Fatal(err)
	}
	for _, arn := range []string{here, cape, bahrain} {
		region := strings.Split(arn, ":")[3]
		d := p.Authorize(iampolicy.Delivery(iampolicy.SNSFrom(region, "us-east-1"), arn, "123456789012", q, time.Now()))
		if !d.Allowed {
			t.Errorf("%s is kept out: %s", arn, d.Why)
		}
	}
}
