package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// flushTimeout bounds the last export: a collector that is down must not hold a pod.
const flushTimeout = 5 * time.Second

// SetupOptions are what Setup needs to know.
type SetupOptions struct {
	// Lookup reads the environment, to decide whether anything is to be exported. The exporters
	// read the rest of OpenTelemetry's variables from the process itself.
	Lookup  func(string) (string, bool)
	Version string
	// Log takes what the SDK has to complain about.
	Log *slog.Logger
}

// Setup installs OpenTelemetry's SDK as the global one: for metrics, which the handler answers to
// Prometheus, and which are exported too when the standard variables name where to; for traces only
// then. The handler is nil when OTEL_SDK_DISABLED is true. Shutdown flushes within bounds; it is
// never nil.
func Setup(ctx context.Context, o SetupOptions) (scrape http.Handler, shutdown func(context.Context) error, err error) {
	var stops []func(context.Context) error
	shutdown = func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, flushTimeout)
		defer cancel()
		var errs []error
		for _, stop := range stops {
			errs = append(errs, stop(ctx))
		}
		return errors.Join(errs...)
	}
	if o.disabled() {
		return nil, shutdown, nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		o.Log.LogAttrs(context.WithoutCancel(ctx), slog.LevelWarn, "telemetry", slog.Any("err", err))
	}))
	about, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName("stationmaster-worker"), semconv.ServiceVersion(o.Version)),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, shutdown, fmt.Errorf("describe this process for OpenTelemetry: %w", err)
	}
	if o.wants("TRACES") {
		exporter, err := autoexport.NewSpanExporter(ctx)
		if err != nil {
			return nil, shutdown, o.fault("TRACES", err)
		}
		provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
		otel.SetTracerProvider(provider)
		stops = append(stops, provider.Shutdown)
	}
	reader, scrape, err := newScrape(o.Log)
	if err != nil {
		return nil, shutdown, err
	}
	metrics := []sdkmetric.Option{sdkmetric.WithReader(reader), sdkmetric.WithResource(about)}
	if o.wants("METRICS") {
		exporting, err := autoexport.NewMetricReader(ctx)
		if err != nil {
			return nil, shutdown, o.fault("METRICS", err)
		}
		metrics = append(metrics, sdkmetric.WithReader(exporting))
	}
	provider := sdkmetric.NewMeterProvider(metrics...)
	otel.SetMeterProvider(provider)
	stops = append(stops, provider.Shutdown)
	return scrape, shutdown, nil
}

// fault names the exporter that was asked for: the SDK does not.
func (o *SetupOptions) fault(signal string, err error) error {
	exporter, named := o.Lookup("OTEL_" + signal + "_EXPORTER")
	if named {
		err = fmt.Errorf("OTEL_%s_EXPORTER=%s: %w", signal, exporter, err)
	}
	return fmt.Errorf("export %s: %w; check the OTEL_* variables", strings.ToLower(signal), err)
}

// disabled says whether nothing is to be measured at all.
func (o *SetupOptions) disabled() bool {
	v, _ := o.Lookup("OTEL_SDK_DISABLED")
	return strings.EqualFold(v, "true")
}

// wants says whether a signal is to be exported: an endpoint or an exporter is named for it, and
// nothing turns it off.
func (o *SetupOptions) wants(signal string) bool {
	get := func(name string) string { v, _ := o.Lookup(name); return v }
	exporter := get("OTEL_" + signal + "_EXPORTER")
	if exporter == "none" {
		return false
	}
	return exporter != "" || get("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || get("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") != ""
}
