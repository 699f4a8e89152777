package awsapi_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/internal/awsapi"
)

// Ten large messages over a slow line: SQS counts from before their first byte, and so must the lease.
func TestALeaseCountsFromTheFirstByteOfAnAnswerNotFromItsLast(t *testing.T) {
	whole := `{"Messages":[{"MessageId":"m","ReceiptHandle":"h","Body":"` + strings.Repeat("x", 50_000) + `"}]%s}`
	for name, row := range map[string]struct {
		standard bool
		body     string
	}{
		"direct":            {false, fmt.Sprintf(whole, "")},
		"handed to the SDK": {false, fmt.Sprintf(whole, `,"New":1.5`)}, // SQS has no such numbers
		"the SDK":           {true, fmt.Sprintf(whole, "")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t)
				q := p.primed(t, awsapi.Options{Standard: row.standard})
				var served time.Time
				f := &fault{answer: func(w http.ResponseWriter, _ *http.Request) {
					served = time.Now()
					w.Header().Set("Content-Length", fmt.Sprint(len(row.body)))
					_, _ = io.WriteString(w, row.body[:10_000])
					_ = http.NewResponseController(w).Flush()
					<-time.After(7 * time.Second)
					_, _ = io.WriteString(w, row.body[10_000:])
				}}
				f.n.Store(1)
				p.fault.Store(f)
				ds, err := q.Receive(t.Context(), 10, time.Second)
				if err != nil || len(ds) != 1 {
					t.Fatalf("%d deliveries, %v", len(ds), err)
				}
				if lease := ds[0].Deadline.Sub(served); lease >= time.Minute {
					t.Errorf("the lease ends %v after SQS handed out the message for a minute", lease)
				}
			})
		})
	}
}
