// Package telemetry tells people what a worker does: it turns the engine's hooks into slog records,
// the counters of GET /status, health answers, and OpenTelemetry spans and metrics.
//
//	poller.Hooks ──▶ Queue ──┬─▶ slog       one record per failure, successes at debug
//	                         ├─▶ counters   GET /status
//	                         └─▶ OTel API   a process span per delivery, linked to its producer; metrics
//
// It logs neither bodies nor receipt handles. OpenTelemetry is used through its API alone, so that
// a program that embeds a worker brings its own SDK; Setup installs one for the worker command, whose
// metrics are there to be scraped, and exports what the standard variables ask for.
package telemetry

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/stationmaster/worker/poller"
)

// scope names this module's spans and metrics.
const scope = "github.com/stationmaster/worker"

// Options make a Telemetry.
type Options struct {
	// Log takes the records; nil discards them.
	Log *slog.Logger
	// Version is the worker's, for /status.
	Version string
	// Tracers and Meters are nil for the global providers of OpenTelemetry.
	Tracers trace.TracerProvider
	Meters  metric.MeterProvider
	// Metrics answers GET /metrics; nil: nothing does.
	Metrics http.Handler
}

// Telemetry observes one worker. It is safe for concurrent use.
type Telemetry struct {
	log         *slog.Logger
	tracer      trace.Tracer
	tracing     atomic.Bool   // a span went somewhere
	probed      atomic.Uint32 // deliveries, while none has
	instruments instruments
	version     string
	started     time.Time
	state       atomic.Value // string
	metrics     http.Handler
	stop        func() error

	mu        sync.Mutex
	queues    []*Queue
	endpoints []*Endpoint
	schedules []*Schedule
}

// New makes a Telemetry whose worker is "starting".
func New(o Options) (*Telemetry, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Tracers == nil {
		o.Tracers = otel.GetTracerProvider()
	}
	if o.Meters == nil {
		o.Meters = otel.GetMeterProvider()
	}
	meter := o.Meters.Meter(scope)
	made, err := newInstruments(meter)
	if err != nil {
		return nil, err
	}
	t := &Telemetry{
		log: o.Log, tracer: o.Tracers.Tracer(scope), instruments: made,
		version: o.Version, started: time.Now(), metrics: o.Metrics,
	}
	t.state.Store("starting")
	if t.stop, err = t.observe(meter); err != nil {
		return nil, err
	}
	return t, nil
}

// Close ends what the meter provider reads: a global one outlives the worker.
func (t *Telemetry) Close() error { return t.stop() }

// SetState says what the whole worker is doing: "starting", "running", "draining", "stopped".
func (t *Telemetry) SetState(state string) { t.state.Store(state) }

// QueueOptions describe one queue.
type QueueOptions struct {
	Name, Job string
	Slots     int
	FIFO      bool
}

// Source answers for a queue that has been opened.
type Source struct {
	// State is the poller's.
	State func() poller.State
	// Requests counts what was sent to AWS for this queue.
	Requests func() int64
	// Counts reads the queue's approximate numbers of messages.
	Counts func(ctx context.Context) (visible, inFlight int64, err error)
}

// Queue observes one queue.
type Queue struct {
	o           QueueOptions
	t           *Telemetry
	log         *slog.Logger
	attributes  attributes
	count       counters
	consecutive consecutive
	rested      atomic.Int64 // unix ns; when a probe last saw it wait for something

	mu     sync.Mutex
	source *Source
	fault  error // why it could not be opened
	cached cachedCounts
}

// Queue adds a queue, in the order in which /status and the banner name them.
func (t *Telemetry) Queue(o QueueOptions) *Queue {
	q := &Queue{
		o: o, t: t, attributes: newAttributes(o, semconv.MessagingSystemAWSSQS),
		log: t.log.With("queue", o.Name, "job", o.Job),
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queues = append(t.queues, q)
	return q
}

// Attach says where to ask about the queue, now that it has been opened.
func (q *Queue) Attach(s Source) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.source, q.fault = &s, nil
}

// Fail says why the queue could not be opened yet.
func (q *Queue) Fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.fault = err
}

func (q *Queue) attached() (*Source, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.source, q.fault
}

func (t *Telemetry) all() []*Queue {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clip(t.queues)
}
