package telemetry_test

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.opentelemetry.io/otel"
	metricnoop "go.opentelemetry.io/otel/metric/noop"

	"github.com/stationmaster/worker/internal/telemetry"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/retry"
)

// scraped is a Telemetry as the worker command has it, and what Prometheus would ask.
type scraped struct {
	*telemetry.Telemetry
	shutdown func()
}

func newScraped(t *testing.T, environ map[string]string) *scraped {
	t.Helper()
	t.Cleanup(func() { otel.SetMeterProvider(metricnoop.NewMeterProvider()) })
	scrape, shutdown, err := telemetry.Setup(t.Context(), telemetry.SetupOptions{
		Version: "v1.2.3", Log: slog.New(slog.DiscardHandler),
		Lookup: func(name string) (string, bool) { v, ok := environ[name]; return v, ok },
	})
	if err != nil {
		t.Fatal(err)
	}
	made, err := telemetry.New(telemetry.Options{Metrics: scrape})
	if err != nil {
		t.Fatal(err)
	}
	return &scraped{Telemetry: made, shutdown: func() {
		if err := made.Close(); err != nil {
			t.Error(err)
		}
		if err := shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}}
}

// work lets a queue handle n messages.
func (s *scraped) work(t *testing.T, name string, fifo bool, n int) {
	t.Helper()
	q := s.Queue(telemetry.QueueOptions{Name: name, Job: "mail", Slots: 4, FIFO: fifo})
	(&source{state: poller.State{State: "polling", Busy: 3}}).attach(q)
	h := q.Hooks()
	h.Received(t.Context(), 10, n, time.Second, nil)
	for i := range n {
		d := delivery()
		d.MessageID, d.Body = fmt.Sprintf("m-%d", i), fmt.Sprintf(`{"email":"ada%d@example.com"}`, i)
		info := &jobs.Info{ID: d.MessageID, Job: "mail"}
		o := poller.Outcome{Took: 2 * time.Second}
		if i%2 == 1 {
			o.Err, o.Decision = fmt.Errorf("no %d", i), retry.Decision{Action: retry.Again, Spends: true}
		}
		h.Finished(h.Started(t.Context(), d, info), d, info, o)
		h.Settled(t.Context(), d, poller.Deleted, nil)
	}
}

// families parses what a scrape answers.
func (s *scraped) families(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("GET /metrics: %d %s", w.Code, w.Body)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	found, err := parser.TextToMetricFamilies(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// labels are the names of a family's labels, over all of its series.
func labels(f *dto.MetricFamily) string {
	all := map[string]bool{}
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			all[l.GetName()] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(all)), " ")
}

// ours are the families of this module, with their labels.
func ours(all map[string]*dto.MetricFamily) map[string]string {
	found := map[string]string{}
	for name, f := range all {
		if strings.HasPrefix(name, "messaging_") || strings.HasPrefix(name, "worker_") {
			found[name] = labels(f)
		}
	}
	return found
}

func TestPrometheusReadsWhatIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := newScraped(t, nil)
		defer s.shutdown()
		s.work(t, "email", false, 20)
		s.work(t, "orders.fifo", true, 20)
		tick := s.Schedule(telemetry.ScheduleOptions{Name: "nightly", Queue: "orders.fifo", Next: func(at time.Time) time.Time { return at.Add(time.Hour) }})
		tick.Failed(t.Context(), errors.New("throttled"))
		tick.Done(t.Context(), time.Now(), nil)
		tick.Done(t.Context(), time.Now(), errors.New("throttled"))
		all := s.families(t)
		if f, early := all["worker_estimated_dollars_per_day"]; early {
			t.Errorf("it estimates a day from no time at all: %v", f)
		}
		<-time.After(time.Hour)
		all = s.families(t)
		const on = "messaging_destination_name messaging_system"
		if diff := cmp.Diff(map[string]string{
			"messaging_client_consumed_messages_total": "messaging_destination_name messaging_operation_name messaging_system",
			"messaging_process_duration_seconds":       "error_type messaging_destination_name messaging_operation_name messaging_system worker_job worker_outcome",
			"worker_dwell_seconds":                     "messaging_destination_name messaging_operation_name messaging_system",
			"worker_requests_total":                    on,
			"worker_settlements_total":                 on + " worker_settlement",
			"worker_slots":                             on,
			"worker_slots_busy":                        on,
			"worker_requests_per_message":              on,
			"worker_estimated_dollars_per_day":         on,
			"worker_schedule_ticks_total":              on + " worker_outcome worker_schedule",
			"worker_schedule_errors_total":             on + " worker_schedule",
		}, ours(all)); diff != "" {
			t.Error(diff)
		}
		for name, has := range ours(all) {
			for _, word := range append(strings.Fields(has), name) {
				if !strings.Contains(string(page), "`"+word+"`") {
					t.Errorf("METRICS.md does not say what %s of %s is", word, name)
				}
			}
		}
		for _, other := range []string{"target_info", "go_goroutines"} {
			if all[other] == nil {
				t.Errorf("no %s", other)
			}
		}
		value := func(name string, i int) float64 {
			m := all[name].GetMetric()[i]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
		// 41 requests in an hour, for 20 messages of each queue; email comes before orders.fifo.
		for name, want := range map[string][2]float64{
			"worker_requests_total":                    {41, 41},
			"messaging_client_consumed_messages_total": {20, 20},
			"worker_slots_busy":                        {3, 3},
			"worker_requests_per_message":              {2.05, 2.05},
			"worker_estimated_dollars_per_day":         {41 * 24 * .4 / 1e6, 41 * 24 * .5 / 1e6},
		} {
			for i := range want {
				if got := value(name, i); math.Abs(got-want[i]) > 1e-9 {
					t.Errorf("%s of queue %d: %g, want %g", name, i, got, want[i])
				}
			}
		}
	})
}

// Series are made by queues, jobs and outcomes, and never by messages.
func TestMessagesMakeNoSeries(t *testing.T) {
	series := func(messages int) (n int) {
		s := newScraped(t, nil)
		defer s.shutdown()
		s.work(t, "email", false, messages)
		for name, f := range s.families(t) {
			if _, mine := ours(map[string]*dto.MetricFamily{name: f})[name]; mine {
				n += len(f.GetMetric())
			}
		}
		return n
	}
	if few, many := series(2), series(2000); few != many || few == 0 {
		t.Errorf("%d series after 2 messages, %d after 2000", few, many)
	}
}

func TestPrometheusAndOTLPRunSideBySide(t *testing.T) {
	c := newCollector(t, http.StatusOK)
	environ := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_TRACES_EXPORTER": "none"}
	for name, value := range environ {
		t.Setenv(name, value) // the exporter reads them too
	}
	s := newScraped(t, environ)
	s.work(t, "email", false, 2)
	if s.families(t)["worker_requests_total"] == nil {
		t.Error("nothing to scrape")
	}
	if s.shutdown(); !slices.Equal(c.paths, []string{"/v1/metrics"}) {
		t.Errorf("exported to %v, want /v1/metrics", c.paths)
	}
}

func TestADisabledSDKIsNotScraped(t *testing.T) {
	s := newScraped(t, map[string]string{"OTEL_SDK_DISABLED": "true"})
	defer s.shutdown()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("GET /metrics: %d, want 404", w.Code)
	}
}

// A meter provider outlives the workers of a program that embeds them.
func TestAClosedWorkerIsMeasuredNoMore(t *testing.T) {
	s := newScraped(t, nil)
	s.work(t, "email", false, 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s.families(t)["worker_slots"] != nil {
		t.Error("its slots are still told")
	}
}
