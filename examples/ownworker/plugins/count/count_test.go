package count_test

import (
	"testing"

	"example.com/ownworker/plugins/count"

	"github.com/stationmaster/worker/jobs/jobstest"
	"github.com/stationmaster/worker/retry"
)

func TestAnOrderIsCounted(t *testing.T) {
	if got := jobstest.Run(t, "count", count.Order{"number": "7"}); got.Decision.Action != retry.Done {
		t.Errorf("%s: %v", got.Decision.Action, got.Err)
	}
}
