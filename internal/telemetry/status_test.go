package telemetry_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/telemetry"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/poller"
)

// TestStatusIsTheJSONThatToolsRead: its keys are an interface.
func TestStatusIsTheJSONThatToolsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.SetState("running")
		q := k.email()
		s := source{state: poller.State{
			State: "paused", Busy: 1, Receivers: 2, Prefetch: 3, Delayed: 5, PausedBy: poller.ByJob, PausedUntil: time.Now().Add(time.Minute), Breaker: "half open",
			Err: errors.New("receive from email: connection reset"),
		}}
		s.attach(q)
		k.Queue(telemetry.QueueOptions{Name: "webhook", Job: "webhook", Slots: 8})
		k.Queue(telemetry.QueueOptions{Name: "gone", Job: "gone", Slots: 8}).Fail(errors.New("find queue gone: not found"))
		h := q.Hooks()
		h.Received(t.Context(), 10, 2, 0, nil)
		h.Finished(t.Context(), delivery(), &jobs.Info{}, poller.Outcome{})
		h.Settled(t.Context(), delivery(), poller.Deleted, nil)
		h.Returned(t.Context(), delivery(), poller.WhyUnknownKind)

		status, body := k.get(t, "/status")
		const zeros = `"deleted":0,"retried":0,"dead_lettered":0,"lease_lost":0,"released":0,"extended":0,"uncertain":0,"not_deleted":0,`
		const want = `{"worker":{"state":"running","version":"v1.2.3","started":"2000-01-01T00:00:00Z"},"queues":{` +
			`"email":{"job":"mail","state":"paused","error":"receive from email: connection reset","slots":4,"busy":1,"receivers":2,"prefetch":3,"delayed":5,` +
			`"paused_by":"job","paused_until":"2000-01-01T00:01:00Z","breaker":"half open",` +
			`"received":2,"done":1,"deleted":1,"retried":0,"dead_lettered":0,"lease_lost":0,"released":0,"extended":0,"uncertain":0,"not_deleted":0,"returned":{"unknown kind":1},` +
			`"requests":41,"visible":7,"in_flight":1},` +
			`"gone":{"job":"gone","state":"unavailable","error":"find queue gone: not found","slots":8,"busy":0,"receivers":0,"prefetch":0,"delayed":0,"received":0,"done":0,` + zeros + `"requests":0,"visible":null,"in_flight":null},` +
			`"webhook":{"job":"webhook","state":"starting","slots":8,"busy":0,"receivers":0,"prefetch":0,"delayed":0,"received":0,"done":0,` + zeros + `"requests":0,"visible":null,"in_flight":null}}}`
		if diff := cmp.Diff(want+"\n", body); diff != "" || status != http.StatusOK {
			t.Errorf("%d %s", status, diff)
		}
	})
}

func TestStatusOfAWorkerWithoutQueues(t *testing.T) {
	k := newKit(t)
	var got telemetry.Status
	if _, body := k.get(t, "/status"); json.Unmarshal([]byte(body), &got) != nil || got.Worker.State != "starting" || got.Queues == nil {
		t.Errorf("status %+v: want it starting, with an empty object of queues", got)
	}
}

// TestAWatcherCostsOneRequestIn15Seconds: an idle queue must not cost more because of it.
func TestAWatcherCostsOneRequestIn15Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		var s source
		s.attach(k.email())
		look := func(want int, visible bool) {
			t.Helper()
			q := k.Status(t.Context()).Queues["email"]
			if s.counts != want || (q.Visible != nil) != visible || (q.InFlight != nil) != visible {
				t.Errorf("after %s: %d requests, visible %v; want %d, %t", time.Since(start), s.counts, q.Visible, want, visible)
			}
		}
		if s.counts != 0 {
			t.Error("it counted before anybody looked")
		}
		look(1, true)
		<-time.After(14999 * time.Millisecond)
		look(1, true)
		<-time.After(time.Millisecond)
		look(2, true)
		<-time.After(15 * time.Second)
		s.err = errors.New("access denied") // which costs as much
		look(3, false)
		<-time.After(10 * time.Second)
		look(3, false)
		s.err = nil
		<-time.After(5 * time.Second)
		look(4, true)
	})
}

var start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func TestAWatcherWhoLeavesKeepsNothingFromTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		var s source
		s.attach(k.email())
		gone, leave := context.WithCancel(t.Context())
		leave()
		if q := k.Status(gone).Queues["email"]; q.Visible != nil {
			t.Errorf("visible %v for a watcher who has gone", *q.Visible)
		}
		if q := k.Status(t.Context()).Queues["email"]; q.Visible == nil || *q.Visible != 7 || s.counts != 2 {
			t.Errorf("the next one sees %v after %d requests", q.Visible, s.counts)
		}
	})
}

// TestQueuesAreCountedAtOnce: each may take as long as a request does.
func TestQueuesAreCountedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		for _, name := range []string{"a", "b", "c", "d"} {
			k.Queue(telemetry.QueueOptions{Name: name}).Attach(telemetry.Source{
				State: func() poller.State { return poller.State{} }, Requests: func() int64 { return 0 },
				Counts: func(context.Context) (visible, inFlight int64, err error) {
					<-time.After(10 * time.Second)
					return 1, 2, nil
				},
			})
		}
		got := k.Status(t.Context())
		if took := time.Since(start); took != 10*time.Second || len(got.Queues) != 4 || *got.Queues["d"].InFlight != 2 {
			t.Errorf("%d queues after %s", len(got.Queues), took)
		}
	})
}

func TestTheAdminPortOnlyTells(t *testing.T) {
	k := newKit(t)
	for _, tt := range []struct {
		method, path string
		status       int
		kind         string
	}{
		{http.MethodGet, "/livez", 200, "text/plain; charset=utf-8"},
		{http.MethodHead, "/livez", 200, "text/plain; charset=utf-8"},
		{http.MethodGet, "/readyz", 503, "text/plain; charset=utf-8"}, // it is starting
		{http.MethodGet, "/status", 200, "application/json"},
		{http.MethodPost, "/status", 405, ""},
		{http.MethodDelete, "/livez", 405, ""},
		{http.MethodGet, "/", 404, ""},
		{http.MethodGet, "/metrics", 404, ""}, // no SDK is installed that could be read
		{http.MethodGet, "/livez/x", 404, ""},
	} {
		w := httptest.NewRecorder()
		k.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, nil))
		if w.Code != tt.status || tt.kind != "" && w.Header().Get("Content-Type") != tt.kind {
			t.Errorf("%s %s: %d %q, want %d %q", tt.method, tt.path, w.Code, w.Header().Get("Content-Type"), tt.status, tt.kind)
		}
	}
}

func TestReadyTellsWhatIsNotWorkedOn(t *testing.T) {
	for _, tt := range []struct {
		name    string
		worker  string
		prepare func(*telemetry.Queue)
		want    string
	}{
		{"starting", "starting", func(q *telemetry.Queue) { attached(q, poller.State{State: "polling"}) }, "worker: starting\n"},
		{"not opened", "running", func(*telemetry.Queue) {}, "queue email: not opened yet\n"},
		{"missing", "running", func(q *telemetry.Queue) { q.Fail(errors.New("find queue email: not found")) }, "queue email: find queue email: not found\n"},
		{"opened at last", "running", func(q *telemetry.Queue) { q.Fail(errors.New("no")); attached(q, poller.State{State: "polling"}) }, ""},
		{"polling", "running", func(q *telemetry.Queue) { attached(q, poller.State{State: "polling"}) }, ""},
		{"paused", "running", func(q *telemetry.Queue) { attached(q, poller.State{State: "paused", PausedBy: "operator"}) }, ""},
		{"backing off", "running", func(q *telemetry.Queue) {
			attached(q, poller.State{State: "backing off", Err: errors.New("throttled")})
		}, "queue email: throttled\n"},
		{"draining", "draining", func(q *telemetry.Queue) { attached(q, poller.State{State: "draining"}) }, "worker: draining\nqueue email: draining\n"},
		{"stopped", "stopped", func(q *telemetry.Queue) { attached(q, poller.State{State: "stopped"}) }, "worker: stopped\nqueue email: stopped\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKit(t)
			k.SetState(tt.worker)
			tt.prepare(k.email())
			wantStatus, want := http.StatusServiceUnavailable, tt.want
			if want == "" {
				wantStatus, want = http.StatusOK, "ok\n"
			}
			if status, body := k.get(t, "/readyz"); status != wantStatus || body != want {
				t.Errorf("%d %q, want %d %q", status, body, wantStatus, want)
			}
		})
	}
}

func TestFaultIsWhyAQueueCouldNotBeOpened(t *testing.T) {
	q, no := newKit(t).email(), errors.New("no")
	if err := q.Fault(); err != nil {
		t.Errorf("before anybody tried: %v", err)
	}
	if q.Fail(no); !errors.Is(q.Fault(), no) {
		t.Errorf("fault %v", q.Fault())
	}
	if attached(q, poller.State{}); q.Fault() != nil {
		t.Errorf("when it is open: %v", q.Fault())
	}
}

func attached(q *telemetry.Queue, s poller.State) { (&source{state: s}).attach(q) }
