//go:build !race

package dlqreplay_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
)

// SQS's own cap, at its real size; with the race detector it would take minutes.
func TestTheCapOfMessagesInFlightAtItsRealSize(t *testing.T) {
	if testing.Short() {
		t.Skip("holds 120,000 letters")
	}
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		y.dlq.Hold = dlqreplay.HoldFor(120_300)
		y.dlq.Queue = y.api.Queue(y.url, awsapi.QueueOptions{Visibility: y.dlq.Hold})
		y.sendPlain(120_300)
		h := y.scan(func(o *dlqreplay.ScanOptions) { o.Budget = 200_000 })
		p := y.plan(h, nil, dlqreplay.Judge{})
		if p.Complete || p.Scanned != 120_000 || p.Total != 120_300 || !strings.Contains(p.Why, "120000 are in flight") {
			t.Errorf("complete %v, scanned %d of %d, why %q", p.Complete, p.Scanned, p.Total, p.Why)
		}
		<-time.After(y.dlq.Hold / 2) // all holds are extended once
		y.holds(300, 120_000)
		if back := h.Release(t.Context(), nil); back.Released != 120_000 {
			t.Errorf("given back: %+v", back)
		}
		y.holds(120_300, 0)
	})
}
