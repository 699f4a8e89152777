package telemetry_test

import (
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/stationmaster/worker/internal/telemetry"
	"github.com/stationmaster/worker/internal/witness"
)

// collector is where OTLP is sent to.
type collector struct {
	*httptest.Server

	mu     sync.Mutex
	paths  []string
	bodies string
}

func newCollector(t *testing.T, status int) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.paths = append(c.paths, r.URL.Path)
		c.bodies += string(body)
		w.WriteHeader(status)
	}))
	t.Cleanup(c.Close)
	return c
}

// setup installs the SDK as the variables say, traces and counts something, and shuts it down.
func setup(t *testing.T, environ map[string]string) (b *witness.Book, err error) {
	t.Helper()
	t.Cleanup(func() {
		otel.SetTracerProvider(tracenoop.NewTracerProvider())
		otel.SetMeterProvider(metricnoop.NewMeterProvider())
	})
	for name, value := range environ {
		t.Setenv(name, value) // the exporters read the rest of them
	}
	b = &witness.Book{}
	_, shutdown, err := telemetry.Setup(t.Context(), telemetry.SetupOptions{
		Version: "v1.2.3", Log: slog.New(slog.NewJSONHandler(b, nil)),
		Lookup: func(name string) (string, bool) { v, ok := environ[name]; return v, ok },
	})
	if shutdown == nil {
		t.Fatal("shutdown is nil")
	}
	if err != nil {
		if again := shutdown(t.Context()); again != nil {
			t.Errorf("shutdown after an error: %v", again)
		}
		return b, err
	}
	_, span := otel.Tracer("test").Start(t.Context(), "something")
	span.End()
	counter, err := otel.Meter("test").Int64Counter("somethings")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 1)
	return b, shutdown(t.Context())
}

func TestSetupExportsWhatTheStandardVariablesAskFor(t *testing.T) {
	for _, tt := range []struct {
		name string
		more map[string]string
		want []string
	}{
		{"an endpoint", nil, []string{"/v1/metrics", "/v1/traces"}},
		{"no metrics", map[string]string{"OTEL_METRICS_EXPORTER": "none"}, []string{"/v1/traces"}},
		{"no traces", map[string]string{"OTEL_TRACES_EXPORTER": "none"}, []string{"/v1/metrics"}},
		{"nothing at all", map[string]string{"OTEL_SDK_DISABLED": "true"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCollector(t, http.StatusOK)
			environ := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
			maps.Copy(environ, tt.more)
			if _, err := setup(t, environ); err != nil {
				t.Fatal(err)
			}
			slices.Sort(c.paths)
			if !slices.Equal(c.paths, tt.want) {
				t.Errorf("exported to %v, want %v", c.paths, tt.want)
			}
			if len(tt.want) > 0 && (!strings.Contains(c.bodies, "stationmaster-worker") || !strings.Contains(c.bodies, "v1.2.3")) {
				t.Error("what was exported does not name the service and its version")
			}
		})
	}
}

func TestSetupOfOneSignalOnly(t *testing.T) {
	c := newCollector(t, http.StatusOK)
	_, err := setup(t, map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": c.URL + "/traces", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"})
	if err != nil || !slices.Equal(c.paths, []string{"/traces"}) {
		t.Errorf("exported to %v, %v", c.paths, err)
	}
}

func TestSetupDoesNothingUnasked(t *testing.T) {
	before := otel.GetTracerProvider()
	if _, err := setup(t, nil); err != nil {
		t.Fatal(err)
	}
	if otel.GetTracerProvider() != before {
		t.Error("it installed an SDK")
	}
}

func TestSetupTellsWhatIsWrongWithTheVariables(t *testing.T) {
	for signal, says := range map[string]string{"TRACES": "export traces: ", "METRICS": "export metrics: "} {
		_, err := setup(t, map[string]string{"OTEL_" + signal + "_EXPORTER": "pigeon"})
		if err == nil || !strings.HasPrefix(err.Error(), says) || !strings.HasSuffix(err.Error(), "; check the OTEL_* variables") || !strings.Contains(err.Error(), "OTEL_"+signal+"_EXPORTER=pigeon: ") {
			t.Errorf("%s: %v", signal, err)
		}
	}
}

// TestACollectorThatRefusesIsTold: and nothing else depends on it.
func TestACollectorThatRefusesIsTold(t *testing.T) {
	c := newCollector(t, http.StatusBadRequest)
	b, err := setup(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"})
	if err == nil && !strings.Contains(b.String(), `"level":"WARN","msg":"telemetry","err":`) {
		t.Errorf("no error and no record: %s", b)
	}
}
