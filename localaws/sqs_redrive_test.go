package localaws_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

func redriveTo(queue string, receives int) map[string]string {
	return map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, queue, receives)}
}

// aws-semantics §1.2, §2.2 Q-09: who may name a dead-letter queue is said by that queue, when it is
// named.
func TestRedrive_1_2_RedriveAllowPolicy(t *testing.T) {
	k := newSQSKit()
	dead, work := k.create(t, "dead", nil), k.create(t, "work", nil)
	arns := func(n int) string {
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprintf("%q", sqsARN(fmt.Sprintf("q%d", i)))
		}
		return strings.Join(all, ",")
	}
	byQueue := func(list string) string { return `{"redrivePermission":"byQueue","sourceQueueArns":[` + list + `]}` }
	for _, tt := range []struct {
		allow        string
		set, redrive string // the codes of setting it, and of naming the queue then
	}{
		{`{"redrivePermission":"denyAll"}`, "", "InvalidParameterValue"},
		{`{"redrivePermission":"allowAll"}`, "", ""},
		{byQueue(arns(10)), "", "InvalidParameterValue"},
		{byQueue(arns(9) + `,"` + sqsARN("work") + `"`), "", ""},
		{byQueue(arns(11)), "InvalidParameterValue", ""},
		{byQueue(""), "InvalidParameterValue", ""},
		{byQueue(`"work"`), "InvalidParameterValue", ""},
		{`{"redrivePermission":"allowAll","sourceQueueArns":[` + arns(1) + `]}`, "InvalidParameterValue", ""},
		{`{"redrivePermission":"denyAll","sources":[]}`, "InvalidParameterValue", ""},
		{`[]`, "InvalidParameterValue", ""},
		{"", "", ""},
	} {
		if err := k.set(t, dead, map[string]string{"RedriveAllowPolicy": tt.allow}); code(err) != tt.set {
			t.Errorf("%s: %v, want %q", tt.allow, err, tt.set)
		}
		if tt.set != "" {
			continue
		}
		if err := k.set(t, work, redriveTo(sqsARN("dead"), 3)); code(err) != tt.redrive {
			t.Errorf("a source under %s: %v, want %q", tt.allow, err, tt.redrive)
		}
		if err := k.set(t, work, map[string]string{"RedrivePolicy": ""}); err != nil {
			t.Fatal(err)
		}
	}
}

// aws-semantics §2.2 Q-08: a dead-letter queue is of the same account and region.
func TestRedrive_2_2_StaysInAccountAndRegion(t *testing.T) {
	k := newSQSKit()
	for key, region := range map[string]string{"111111111111": "us-east-1", "AKID": "eu-west-1"} {
		if _, err := enter(k.Server, key, region).sqs.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: new("dead")}); err != nil {
			t.Fatal(err)
		}
	}
	work := k.create(t, "work", nil)
	for arn, says := range map[string]string{
		"arn:aws:sqs:us-east-1:111111111111:dead": "Dead letter target owner should be same as the source.",
		"arn:aws:sqs:eu-west-1:000000000000:dead": "same region",
	} {
		if err := k.set(t, work, redriveTo(arn, 3)); code(err) != "InvalidParameterValue" || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", arn, err, says)
		}
	}
}

func TestRedrive_ListDeadLetterSourceQueuesPages(t *testing.T) {
	k := newSQSKit()
	dead := k.create(t, "dead", nil)
	var want, got []string
	for i := range 5 {
		want = append(want, *k.create(t, fmt.Sprintf("work-%d", i), redriveTo(sqsARN("dead"), 3)))
	}
	k.create(t, "other", nil)
	pages := sqs.NewListDeadLetterSourceQueuesPaginator(k.Client, &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: dead},
		func(o *sqs.ListDeadLetterSourceQueuesPaginatorOptions) { o.Limit = 2 })
	n := 0
	for ; pages.HasMorePages(); n++ {
		out, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, out.QueueUrls...)
	}
	if !slices.Equal(got, want) || n != 3 {
		t.Errorf("%v in %d pages, want %v in 3", got, n, want)
	}
}

// replay.md §4, aws-semantics §2.2 Q-10: a dead-letter queue with a redrive policy of its own counts
// the receives in itself.
func TestRedrive_AChainCountsInEachQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		last := k.create(t, "last", nil)
		dead := k.create(t, "dead", redriveTo(sqsARN("last"), 2))
		work := k.create(t, "work", redriveTo(sqsARN("dead"), 3))
		k.send(t, work, "x")
		for _, queue := range []*string{work, work, work} {
			k.one(t, queue)
			wait(t, 30*time.Second)
		}
		for _, want := range []string{"", "x", "x", ""} { // the first moves it here, the last moves it on
			queue := dead
			if want == "" && k.counts(t, dead).visible == 0 {
				queue = work
			}
			if got := bodies(k.take(t, queue, 1)); got != want {
				t.Errorf("received %q, want %q", got, want)
			}
			wait(t, 30*time.Second)
		}
		got := k.one(t, last)
		if got.Attributes["ApproximateReceiveCount"] != "6" || got.Attributes["DeadLetterQueueSourceArn"] != sqsARN("dead") {
			t.Errorf("at the end: %v", got.Attributes)
		}
	})
}
