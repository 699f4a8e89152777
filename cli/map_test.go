package cli

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stationmaster/worker/worker"
)

// The map fits its terminal: a filter goes on below, a long name loses its middle.
func TestMapFitsItsWidth(t *testing.T) {
	long := strings.Repeat("payments-", 8) + "in"
	n := &worker.Network{
		Topics: []worker.MapTopic{{Name: long + ".fifo", FIFO: true, Tracks: []worker.MapTrack{
			{
				Protocol: "sqs", To: long, Ours: true, Job: "settlement", Slots: 10, Raw: true, DLQ: long + "-dlq", MaxReceives: 15,
				DeliveryDLQ: "orders-" + long + "-delivery-dlq", FilterOn: "body", Filter: `{"event":["` + strings.Repeat("x", 90) + `"]}`,
			},
			{Protocol: "lambda", To: "arn:aws:lambda:us-east-1:000000000000:function:" + long},
			{Protocol: "https", To: "https://hooks.example.com/audit", Ours: true, Job: "audit"},
		}}},
		Sidings: []worker.MapTrack{{Protocol: "sqs", To: "siding", Ours: true, Job: strings.Repeat("j", 70), Slots: 3}},
	}
	for _, width := range []int{60, 80} {
		drawn := drawingOf(n, width)
		for line := range strings.Lines(drawn) {
			line = strings.TrimSuffix(line, "\n")
			if n := utf8.RuneCountInString(line); n > width || strings.TrimRight(line, " ") != line || strings.Contains(line, together) {
				t.Errorf("%d columns: %d in %q", width, n, line)
			}
		}
		// Nothing of a filter is lost, and what tells names apart is kept.
		joined := strings.NewReplacer("\n", "", "│", "", " ", "").Replace(drawn)
		for _, want := range []string{n.Topics[0].Tracks[0].Filter, "-delivery-dlq:whatSNScannotdeliver", "after15receives", "──▶jobsettlement×10", "×3", "(servedbythisworker)", "⌂yard:dead-letterqueue"} {
			if !strings.Contains(joined, want) {
				t.Errorf("%d columns: no %q in\n%s", width, want, drawn)
			}
		}
		if !strings.HasPrefix(drawn, "◉ payments-") || width == 60 && !strings.Contains(drawn, "\n─▶ track: subscription\n") {
			t.Errorf("%d columns:\n%s", width, drawn)
		}
	}
}
