package thank_test

import (
	"testing"

	"example.com/ownworker/jobs/thank"

	"github.com/stationmaster/worker/jobs/jobstest"
	"github.com/stationmaster/worker/retry"
)

func TestAnOrderIsThankedFor(t *testing.T) {
	got := jobstest.Run(t, "thank", thank.Order{Number: "7", Customer: "ada@example.com"}, jobstest.Settings(map[string]any{"greeting": "Thanks a lot"}))
	if got.Decision.Action != retry.Done || len(got.Published) != 1 {
		t.Fatalf("%s: %v, published %v", got.Decision.Action, got.Err, got.Published)
	}
	if p := got.Published[0]; p.Topic != "thanks" || p.Message.Body != `{"to":"ada@example.com","text":"Thanks a lot for order 7"}` {
		t.Errorf("published to %s: %s", p.Topic, p.Message.Body)
	}
}

func TestAnOrderOfNobodyIsDeadLettered(t *testing.T) {
	got := jobstest.Run(t, "thank", thank.Order{Number: "7"})
	if got.Decision.Action != retry.DeadLetter || got.Record.Reason != "no customer" {
		t.Errorf("%s because %q", got.Decision.Action, got.Record.Reason)
	}
}
