package period_test

import (
	"testing"
	"time"

	"github.com/stationmaster/worker/internal/period"
)

func TestTextHasNoZerosAtItsEnd(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 10 * time.Second: "10s", time.Minute: "1m", 90 * time.Second: "1m30s", time.Hour: "1h",
		time.Hour + 10*time.Minute: "1h10m", time.Hour + 10*time.Second: "1h0m10s", 24 * time.Hour: "24h", 1500 * time.Millisecond: "1.5s",
		-time.Hour: "-1h",
	} {
		if got := period.Text(d); got != want {
			t.Errorf("%d ns is %q, want %q", d, got, want)
		}
	}
}
