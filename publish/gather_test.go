package publish_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/stationmaster/worker/internal/tracecarrier"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/publish"
	"github.com/stationmaster/worker/queue"
)

const linger = 50 * time.Millisecond

func TestConcurrentPublishesShareRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, "true", "")
		c := k.client(publish.Options{Linger: linger})
		var mu sync.Mutex
		var requests []int
		k.server.Control("PublishBatch", func(r *localaws.Request) *localaws.Fault {
			mu.Lock()
			defer mu.Unlock()
			requests = append(requests, len(r.Entries))
			return nil
		})
		started := time.Now()
		ids, errs := make([]string, 24), make([]error, 24)
		var all sync.WaitGroup
		for i := range ids {
			all.Go(func() {
				m := queue.Message{Body: fmt.Sprint(i)}
				if i == 7 {
					m.Attributes = attributes(11)
				}
				own := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{byte(i + 1)}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled}))
				ids[i], errs[i] = c.Publish(own, "invitations", m)
			})
		}
		all.Wait()
		slices.Sort(requests)
		if took := time.Since(started); took != linger || !slices.Equal(requests, []int{3, 10, 10}) {
			t.Errorf("requests of %v after %v", requests, took)
		}
		seen := map[string]bool{}
		for i := range ids {
			if (errs[i] != nil) != (i == 7) || (ids[i] == "") != (i == 7) || seen[ids[i]] {
				t.Errorf("call %d: %q, %v", i, ids[i], errs[i])
			}
			seen[ids[i]] = true
		}
		arrived := k.all(t, "email")
		for _, d := range arrived {
			got := trace.SpanContextFromContext(tracecarrier.Extract(t.Context(), d.Attributes, d.TraceHeader)).TraceID()
			if want := fmt.Sprint(int(got[0]) - 1); d.Body != want {
				t.Errorf("message %s is in the trace of %s", d.Body, want)
			}
		}
		if len(arrived) != 23 {
			t.Errorf("%d arrived", len(arrived))
		}
	})
}

// TestACallerWhoGivesUpCostsNoOther: before the request his message is not sent, after it nobody knows.
func TestACallerWhoGivesUpCostsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, "true", "")
		c := k.client(publish.Options{Linger: linger})
		k.server.Control("PublishBatch", func(*localaws.Request) *localaws.Fault {
			return &localaws.Fault{Late: time.Second}
		})
		errs := map[string]error{}
		var mu sync.Mutex
		var all sync.WaitGroup
		for _, body := range []string{"late", "early", "patient", "other"} { // the first one's end is nobody else's
			synctest.Wait()
			all.Go(func() {
				patience := map[string]time.Duration{"early": linger / 2, "late": 2 * linger, "patient": time.Minute, "other": time.Minute}
				ctx, cancel := context.WithTimeout(t.Context(), patience[body])
				defer cancel()
				_, err := c.Publish(ctx, "invitations", queue.Message{Body: body})
				mu.Lock()
				defer mu.Unlock()
				errs[body] = err
			})
		}
		all.Wait()
		if err := errs["early"]; !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, queue.ErrUnanswered) || !strings.HasPrefix(err.Error(), "publish to invitations: not sent: ") {
			t.Errorf("early: %v", err)
		}
		if err := errs["late"]; !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, queue.ErrUnanswered) {
			t.Errorf("late: %v", err)
		}
		if errs["patient"] != nil || errs["other"] != nil {
			t.Errorf("the others: %v, %v", errs["patient"], errs["other"])
		}
		got := bodies(k.all(t, "email"))
		slices.Sort(got)
		if !slices.Equal(got, []string{"late", "other", "patient"}) {
			t.Errorf("arrived %v", got)
		}
	})
}
