package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/queue"
)

// What make bench-replay measures. Nothing here asserts a speed.

// distance is how far away SQS is from somebody in its own region, with room to spare.
const distance = 15 * time.Millisecond

const mebibyte = 1 << 20

// TestReplayBenchSpeed: goal 3,000 messages a second.
func TestReplayBenchSpeed(t *testing.T) {
	measured(t)
	const messages = 40_000
	d := newDepot(t, depotFile)
	d.fill(messages)
	d.away.Store(int64(distance))
	done := d.replay(append([]string{"email"}, unwatchedBy16...)...)
	f, r := d.fates(messages), done.report
	if f != (fate{}) || done.code != 0 || r.Replayed != messages {
		t.Errorf("%+v, exit code %d, %+v\n%s", f, done.code, r, done.tail())
	}
	t.Logf("replay     %d messages, %v a call, 16 loops: %.0f messages a second (goal 3,000), %.1fs with the scan, peak %d MiB",
		messages, distance, float64(messages)/r.Took.Seconds(), done.took.Seconds(), done.peak/mebibyte)
}

const mixedFile = `
[admin]
addr = "off"
[topics.news]
[queues.email]
job = "email"
dlq = "dead"
[queues.events]
job = "analytics"
dlq = "dead"
[[subscriptions]]
topic = "news"
protocol = "sqs"
endpoint = "email"
dlq = "unheard"
`

func attribute(text string) queue.Attribute { return queue.Attribute{Type: "String", Text: text} }

// reasons are causes that workers recorded.
var reasons = []struct{ queue, job, class, reason string }{
	{"email", "email", "timeout", "dial tcp <ip>:587: i/o timeout"},
	{"email", "email", "smtp", "smtp: <n> authentication failed"},
	{"email", "email", "decode", "invalid character <quoted> looking for beginning of value"},
	{"events", "analytics", "timeout", "context deadline exceeded"},
	{"events", "analytics", "http", "collector answered <n>"},
	{"events", "analytics", "panic", "index out of range in analytics.(*job).Handle"},
}

// mixed is the nth of the dead letters that are sent directly: six causes that a worker recorded, and four
// of what others put there.
func mixed(n int) queue.Message {
	bare := queue.Message{Body: body(n)}
	switch kind := n % 10; kind {
	case 6: // of SNS
		bare.Body = fmt.Sprintf(`{"Type":"Notification","MessageId":"%08d-0000-4000-8000-000000000000","TopicArn":"arn:aws:sns:us-east-1:000000000000:news","Message":%q,"Timestamp":"2026-11-25T02:00:00.000Z"}`, n, body(n))
	case 7: // of Lambda
		bare.Attributes = map[string]queue.Attribute{"RequestID": attribute(fmt.Sprint("r-", n)), "ErrorCode": attribute("200"), "ErrorMessage": attribute("Task timed out after 3.00 seconds")}
	case 8: // of EventBridge
		bare.Attributes = map[string]queue.Attribute{"RULE_ARN": attribute("arn:aws:events:us-east-1:000000000000:rule/nightly"), "ERROR_CODE": attribute("NO_PERMISSIONS"), "ERROR_MESSAGE": attribute("Not authorized")}
	case 9: // of somebody
		bare.Body = fmt.Sprintf(`{"order":%d,"customer":"n%d@example.com","total":12.5}`, n, n)
	default:
		why := reasons[kind]
		return dead(n, why.job, why.queue, why.class, why.reason)
	}
	return bare
}

// move lets SQS move messages into the dead-letter queue, by the queue's redrive policy.
func (d *depot) move(name string, messages int) {
	d.t.Helper()
	q := d.at(name)
	policy := map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":"1"}`}
	if err := d.inner.SetQueueAttributes(d.t.Context(), q.URL(), policy); err != nil {
		d.t.Fatal(err)
	}
	before := d.counts(d.t, "dead").Visible
	d.put(name, messages, func(n int) queue.Message { return queue.Message{Body: body(n)} })
	eventually(d.t, 2*time.Minute, func() bool {
		for {
			ds, err := q.Receive(d.t.Context(), queue.MaxBatch, 0)
			if err != nil {
				d.t.Fatal(err)
			}
			if len(ds) == 0 {
				return d.counts(d.t, "dead").Visible == before+int64(messages)
			}
			handles := make([]queue.ReceiptHandle, len(ds))
			for i := range ds {
				handles[i] = ds[i].Handle
			}
			if errs := q.ChangeVisibility(d.t.Context(), handles, make([]time.Duration, len(ds))); errors.Join(errs...) != nil {
				d.t.Fatal(errors.Join(errs...))
			}
		}
	}, func() string { return fmt.Sprintf("%+v", d.counts(d.t, "dead")) })
}

// planned reads the plan that a process printed.
func (r *ran) planned(t *testing.T) *dlqreplay.Plan {
	t.Helper()
	for line := range bytes.SplitSeq(r.said.Bytes(), []byte("\n")) {
		var plan dlqreplay.Plan
		if bytes.Contains(line, []byte(`"groups"`)) && json.Unmarshal(line, &plan) == nil {
			return &plan
		}
	}
	t.Fatalf("exit code %d and no plan: %s", r.code, r.tail())
	return nil
}

// TestReplayBenchPlan: goal 40 seconds, for what died in two queues, of twelve causes. What SNS could not
// deliver has a queue of its own.
func TestReplayBenchPlan(t *testing.T) {
	measured(t)
	const messages, moved = 100_000, 10_000
	d := newDepot(t, mixedFile)
	d.move("email", moved)
	d.move("events", moved)
	d.put("dead", messages-2*moved, mixed)
	d.put("unheard", moved, func(n int) queue.Message { return mixed(10*n + 6) })
	d.away.Store(int64(distance))
	d.plans(t, "dead", messages, 12, 3)
	d.plans(t, "unheard", moved, 1, 1)
}

// plans measures a plan of a dead-letter queue, and checks that it is whole and leaves everything there.
func (d *depot) plans(t *testing.T, name string, messages, causes, kinds int) {
	t.Helper()
	done := d.begin(name).end()
	plan := done.planned(t)
	byKind := map[dlqreplay.Kind]int{}
	for _, g := range plan.Groups {
		byKind[g.Kind] += g.Count
		t.Logf("  %s %-11s %6d %-10s %s: %s", g.Fingerprint, g.Kind, g.Count, g.Job, g.Class, g.Reason)
	}
	if done.code != 0 || plan.Scanned != messages || !plan.Complete || len(plan.Groups) != causes || len(byKind) != kinds {
		t.Errorf("exit code %d, %d scanned, complete: %v (%s), %d groups, kinds %v", done.code, plan.Scanned, plan.Complete, plan.Why, len(plan.Groups), byKind)
	}
	if n := d.counts(t, name); n != (awsapi.Counts{Visible: int64(messages)}) {
		t.Errorf("after the plan: %+v", n)
	}
	t.Logf("plan       %d messages, %v a call, %d causes, %v: %.1fs in all, %.1fs of it the scan (goal 40), peak %d MiB",
		plan.Scanned, distance, len(plan.Groups), byKind, done.took.Seconds(), plan.Took.Seconds(), done.peak/mebibyte)
}

// TestReplayBenchStream: goal 300 MB, for what cannot be held at once.
func TestReplayBenchStream(t *testing.T) {
	measured(t)
	const messages = 1_000_000
	d := newDepot(t, depotFile)
	d.fill(messages)
	done := d.replay(append([]string{"email"}, unwatchedBy16...)...)
	r := done.report
	f := d.fates(messages)
	if f != (fate{}) || done.code != 0 || r.Replayed != messages {
		t.Errorf("%+v, exit code %d, %+v", f, done.code, r)
	}
	t.Logf("stream     %d messages, 0s a call: %.0f messages a second, peak %d MB (goal 300), lost %d, twice %d",
		messages, float64(messages)/r.Took.Seconds(), done.peak/1_000_000, f.lost, f.twice)
}
