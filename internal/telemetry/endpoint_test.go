package telemetry_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/ingress"
	"github.com/stationmaster/worker/internal/telemetry"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

func TestAnEndpointIsCountedTracedAndLoggedAsAQueue(t *testing.T) {
	k := newKit(t)
	e := k.Endpoint(telemetry.QueueOptions{Name: "/hooks/audit", Job: "audit", Slots: 8})
	until := time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)
	e.Attach(func() ingress.State { return ingress.State{State: "paused", Busy: 2, PausedUntil: until} })
	h := e.Hooks()
	d := &queue.Delivery{Message: queue.Message{Body: `{"secret":"hunter2"}`}, MessageID: "sns-1", Receives: 1}
	for _, o := range []ingress.Outcome{
		{Decision: retry.Decision{Action: retry.Done}, Took: time.Second, Attempt: 1},
		{Decision: retry.Decision{Action: retry.Again, Spends: true}, Err: errors.New("not yet"), Attempt: 2},
		{Decision: retry.Decision{Action: retry.DeadLetter}, Err: errors.New("hunter2 is wrong"), Attempt: 3},
		{Err: errors.New("cancelled"), Interrupted: true, Attempt: 4},
	} {
		info := &jobs.Info{ID: "sns-1", Job: "audit"}
		h.Finished(h.Started(t.Context(), d, info), d, info, o)
	}
	h.DeadLettered(t.Context(), d, nil)
	h.DeadLettered(t.Context(), d, queue.ErrDenied)
	h.Duplicate(t.Context(), d)
	for range 100 {
		h.Refused(t.Context(), 403, errors.New("forged"))
	}
	h.Refused(t.Context(), 503, errors.New("no certificate"))
	h.Subscribed(t.Context(), ingress.Event{What: ingress.Confirmed, Topic: "arn:t"})
	h.Subscribed(t.Context(), ingress.Event{What: ingress.Attached, Topic: "arn:t", SubscriptionARN: "arn:t:1", Changed: []string{"RedrivePolicy"}})
	h.Subscribed(t.Context(), ingress.Event{What: ingress.Foreign, Topic: "arn:u", Err: errors.New("theirs")})

	_, text := k.get(t, "/status")
	var got struct {
		Endpoints map[string]telemetry.EndpointStatus `json:"endpoints"`
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]telemetry.EndpointStatus{"/hooks/audit": {
		Job: "audit", State: "paused", Slots: 8, Busy: 2, PausedUntil: &until,
		Received: 5, Done: 1, Retried: 1, DeadLettered: 1, Duplicates: 1, Refused: map[string]int64{"403": 100, "503": 1},
		Subscriptions: map[string]string{"arn:t": "subscription attached", "arn:u": "subscription is foreign"},
	}}
	if diff := cmp.Diff(want, got.Endpoints); diff != "" {
		t.Error(diff)
	}
	log := k.book.String()
	if n := strings.Count(log, "request refused"); n < 1 || n > 12 {
		t.Errorf("%d of 101 refusals in the log", n)
	}
	if strings.Contains(log, "hunter2") {
		t.Errorf("the log quotes a message:\n%s", log)
	}
	for _, want := range []string{
		`"path":"/hooks/audit"`, `"level":"ERROR","msg":"subscription is foreign"`, `"level":"INFO","msg":"subscription attached"`,
		`"changed":["RedrivePolicy"]`, `"level":"WARN","msg":"job failed: the message comes back"`, `"level":"ERROR","msg":"not dead-lettered"`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("%s is missing of:\n%s", want, log)
		}
	}
	spans := k.spans.Ended()
	if len(spans) == 0 || spans[0].Name() != "process /hooks/audit" {
		t.Fatalf("spans %v", spans)
	}
	for _, a := range spans[0].Attributes() {
		if a.Key == "messaging.system" && a.Value.AsString() != "aws.sns" {
			t.Errorf("span attribute %v", a)
		}
	}
	if _, text := k.get(t, "/status"); strings.Contains(text, `"queues":{"/hooks`) {
		t.Error("it is a queue")
	}
}
