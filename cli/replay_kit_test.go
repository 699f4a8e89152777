package cli

import (
	"time"

	"github.com/stationmaster/worker/dlqreplay"
)

// noon is when the golden outputs are printed.
var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func clockAt(text string) time.Time {
	t, err := time.Parse("15:04", text)
	if err != nil {
		panic(err)
	}
	return noon.Truncate(24 * time.Hour).Add(time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute)
}

// orders is the plan of the specification.
func orders() *dlqreplay.Plan {
	selected := make([]string, 44)
	for i := range selected {
		selected[i] = "id"
	}
	return &dlqreplay.Plan{
		ID: "p-7f3a", DLQ: "orders-dlq", DLQARN: "arn:aws:sqs:eu-west-1:123456789012:orders-dlq", Created: noon,
		Scanned: 51, Total: 51, Complete: true, Took: 400 * time.Millisecond,
		Groups: []dlqreplay.Group{
			{
				Fingerprint: "a3f9c1", Kind: dlqreplay.Recorded, Job: "email", Class: "timeout", Reason: "dial tcp <ip>:587: i/o timeout",
				Count: 42, Matched: 42, Selected: 42, First: clockAt("02:11"), Last: clockAt("04:37"), Expires: noon.Add(9*24*time.Hour + time.Hour), Example: "m1",
			},
			{
				Fingerprint: "77be02", Kind: dlqreplay.Recorded, Job: "thumbnail", Class: "permanent", Reason: "decode: invalid image header",
				Count: 7, Matched: 7, First: clockAt("03:02"), Last: clockAt("03:40"), Expires: noon.Add(9 * 24 * time.Hour), Example: "m2",
			},
			{
				Fingerprint: "------", Kind: dlqreplay.Moved, Job: "email",
				Count: 2, Matched: 2, Selected: 2, First: clockAt("02:14"), Last: clockAt("02:20"), Expires: noon.Add(6*time.Hour + time.Minute), Example: "m3",
			},
		},
		Matched: 51, Selected: selected, To: map[string]int{"orders": 44}, Checked: 44,
		Skipped: []dlqreplay.Skipped{{Why: dlqreplay.SkipCheck, Job: "thumbnail", Text: "format: webp unsupported", Count: 7}},
		Deaths:  map[int]int{1: 49, 0: 2},
	}
}

func usualPace() dlqreplay.Pace {
	return dlqreplay.Pace{Rate: 50, Canary: 5, Settle: 2 * time.Minute, StopOnReturn: 0.05}
}
