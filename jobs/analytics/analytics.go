// Package analytics posts messages as CloudEvents to a collector, a batch at a time: job
// "analytics", settings in [jobs.analytics].
//
// An event's id is the message's stable id, its type the string in the body's key event, its data
// the body as it came. One answer of the collector is the answer for the whole batch; but when it
// refuses the batch for what is in it (400, 413, 422), each event is posted alone at once, so that
// only the bad one is dead-lettered.
package analytics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/internal/outbound"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

func init() { jobs.RegisterBatchJob("analytics", New) }

// Event is what a message's body must say; all else in it is passed on.
type Event struct {
	Event string `json:"event"`
}

// Job posts events.
type Job struct {
	// CollectorURL is where they go.
	CollectorURL string `config:"collector_url"`
	// Source is the source of each event: a URI reference.
	Source string `config:"source"`
	// AllowPrivate lets them go to loopback, link-local and private addresses.
	AllowPrivate bool `config:"allow_private"`
	// Timeout bounds one request.
	Timeout time.Duration `config:"timeout"`

	to     *url.URL
	client *outbound.Client
}

// New returns the job with its defaults.
func New() *Job { return &Job{Source: "/stationmaster", Timeout: outbound.DefaultTimeout} }

// CheckSettings tells all that is wrong with the settings.
func (j *Job) CheckSettings() error {
	var errs [3]error
	j.to, errs[0] = outbound.ParseURL("collector_url", j.CollectorURL, j.AllowPrivate)
	probe := event.New()
	if err := probe.Context.SetSource(j.Source); j.Source == "" || err != nil {
		errs[1] = fmt.Errorf("source: %q: must be a URI or the path of one", j.Source)
	}
	if j.Timeout <= 0 {
		errs[2] = fmt.Errorf("timeout: %s: must be more than 0", j.Timeout)
	}
	return errors.Join(errs[:]...)
}

// Provision makes the client.
func (j *Job) Provision(context.Context, *jobs.Env) error {
	j.client = outbound.New(outbound.Options{AllowPrivate: j.AllowPrivate, Timeout: j.Timeout})
	return nil
}

// HandleBatch posts messages and answers by index.
func (j *Job) HandleBatch(ctx context.Context, ms []*jobs.Message[Event]) []error {
	errs := make([]error, len(ms))
	var events []event.Event
	var places []int
	for i, m := range ms {
		e, err := j.compose(m)
		if err != nil {
			errs[i] = retry.Never(fmt.Errorf("analytics: compose event: %w", err))
			continue
		}
		events, places = append(events, e), append(places, i)
	}
	for n, err := range j.post(ctx, events) {
		errs[places[n]] = err
	}
	return errs
}

// Close gives up idle connections.
func (j *Job) Close() error { return j.client.Close() }

func (j *Job) compose(m *jobs.Message[Event]) (event.Event, error) {
	e := event.New()
	if m.Body.Event == "" {
		return e, errors.New("field event: not set: it is the event's type")
	}
	e.SetID(m.ID)
	e.SetSource(j.Source)
	e.SetType(m.Body.Event)
	if !m.Sent.IsZero() {
		e.SetTime(m.Sent)
	}
	if err := e.SetData(event.ApplicationJSON, json.RawMessage(m.Raw)); err != nil {
		return e, fmt.Errorf("data: %w", err)
	}
	return e, e.Validate()
}

// post answers by index; nil when all were taken.
func (j *Job) post(ctx context.Context, events []event.Event) []error {
	if len(events) == 0 {
		return nil
	}
	err := j.request(ctx, events)
	if !refused(err) || len(events) == 1 {
		return queue.Each(err, len(events))
	}
	errs := make([]error, len(events))
	for i := range events {
		if errs[i] = ctx.Err(); errs[i] == nil {
			errs[i] = j.request(ctx, events[i:i+1])
		}
	}
	return errs
}

// refused says whether the answer is about what is in the batch, or how much.
func refused(err error) bool {
	status, ok := errors.AsType[*outbound.StatusError](err)
	if !ok {
		return false
	}
	switch status.Code {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

func (j *Job) request(ctx context.Context, events []event.Event) error {
	body, err := json.Marshal(events)
	if err != nil {
		return retry.Never(fmt.Errorf("analytics: encode events: %w", err))
	}
	header := http.Header{}
	header.Set("Content-Type", event.ApplicationCloudEventsBatchJSON)
	if err := j.client.Post(ctx, j.to, header, body); err != nil {
		return fmt.Errorf("analytics: %w", err)
	}
	return nil
}
