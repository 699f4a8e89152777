package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/jobs"
)

// exitRefused is the exit code of a replay that is refused before it touches anything.
const exitRefused = 6

// ToOrigin sends every dead letter where it came from; ToJob, before a job's name, runs that job here.
const (
	ToOrigin = "origin"
	ToJob    = "job:"
)

// ReplayOptions say which dead letters are meant, and where they go.
type ReplayOptions struct {
	// Queue is a queue or its dead-letter queue: a key of the configuration, a name, an ARN or a URL.
	Queue string
	// To is ToOrigin, a queue as in Queue, or ToJob and a name; empty is ToOrigin.
	To string
	// Foreign says that Queue is the dead-letter queue of something that is neither a queue nor a
	// subscription.
	Foreign bool
	// DevAddr is where a dev worker is looked for; see OpenOperator.
	DevAddr string
}

// Replay is a dead-letter queue and what surrounds it: where its letters came from, where they go, and
// what the jobs of this program know of them. Close it at the end.
type Replay struct {
	// Where says which AWS it speaks to, for people; By is the caller as AWS knows him.
	Where, By string
	// Build is the version of this program.
	Build string
	DLQ   dlqreplay.DLQ
	// Undelivered: SNS puts into it what it could not deliver.
	Undelivered bool
	// Notes are what could not be found out, and what it means.
	Notes []string

	o        Options
	options  ReplayOptions
	op       *Operator
	log      *slog.Logger
	at       place
	queue    *awsapi.Queue
	explicit *dlqreplay.Destination // of ReplayOptions.To
	// explicitAt is its queue; nil when it is none.
	explicitAt *place
	sources    []*place
	subs       []subscriber

	mu     sync.Mutex
	found  map[string]*destined // by ARN
	topics map[string]string    // of undelivered letters, by MessageId
	opened map[string]*opened   // jobs that run here
}

// OpenReplay finds the dead-letter queue that is meant, where its letters came from, and AWS itself as
// OpenOperator does. An error asks for the exit code that it should end the program with.
func OpenReplay(ctx context.Context, o Options, ro ReplayOptions) (*Replay, error) {
	r, err := openReplay(ctx, o, ro)
	if err != nil {
		return nil, err
	}
	if err := r.find(ctx); err != nil {
		return nil, refusal(err)
	}
	return r, nil
}

func openReplay(ctx context.Context, o Options, ro ReplayOptions) (*Replay, error) {
	o.fill()
	loaded, err := loadWithJobs(&o) // a replay asks the jobs what they take
	if err != nil {
		return nil, err
	}
	op, err := openOperator(ctx, &o, loaded, ro.DevAddr)
	if err != nil {
		return nil, err
	}
	who, err := op.api.Identity(ctx)
	if err != nil {
		return nil, withWay(err)
	}
	return &Replay{
		Where: op.Where, By: who.ARN, Build: o.Version, o: o, options: ro, op: op, log: loggerOf(&o, op.loaded),
		found: map[string]*destined{}, topics: map[string]string{}, opened: map[string]*opened{},
	}, nil
}

// refusal asks for the exit code of what is refused, unless the error asks for one itself.
func refusal(err error) error {
	if _, coded := errors.AsType[*exitError](err); coded || err == nil {
		return err
	}
	return &refused6{err}
}

// refused6 is an error that ends the program as a refusal.
type refused6 struct{ err error }

func (r *refused6) Error() string { return r.err.Error() }
func (r *refused6) Unwrap() error { return r.err }

// ExitCode is the exit code that the error asks for.
func (r *refused6) ExitCode() int { return exitRefused }

// Close ends the jobs that ran here.
func (r *Replay) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, j := range r.opened {
		errs = append(errs, j.close())
	}
	return errors.Join(errs...)
}

// Sources are the names of the queues, or of the endpoints, whose dead letters these are.
func (r *Replay) Sources() []string {
	var names []string
	for _, s := range r.sources {
		names = append(names, s.name)
	}
	for _, s := range r.subs {
		names = append(names, endpointName(s))
	}
	return names
}

// Scan are the options of a scan of this queue.
func (r *Replay) Scan() dlqreplay.ScanOptions {
	return dlqreplay.ScanOptions{DLQ: r.DLQ, Undelivered: r.Undelivered, JobOf: r.jobOf}
}

// open makes the DLQ that a scan asks.
func (r *Replay) open() {
	visible, _ := strconv.ParseInt(r.at.attributes["ApproximateNumberOfMessages"], 10, 64)
	hold := dlqreplay.HoldFor(visible)
	r.queue = r.op.api.Queue(r.at.url, awsapi.QueueOptions{Visibility: hold})
	r.DLQ = dlqreplay.DLQ{
		Name: r.at.name, ARN: r.at.arn, FIFO: r.at.fifo(), Queue: r.queue, Hold: hold,
		Retention: seconds(r.at.attributes["MessageRetentionPeriod"]), Counts: r.counts(r.at.url),
	}
}

func (r *Replay) counts(url string) func(context.Context) (dlqreplay.Counts, error) {
	return func(ctx context.Context) (dlqreplay.Counts, error) {
		n, err := r.op.api.QueueCounts(ctx, url)
		return dlqreplay.Counts(n), err
	}
}

// Judging says how strict a judge is.
type Judging struct {
	MaxDeaths, Limit int
	BreakOrder       bool
	// Check skips what its job here cannot decode.
	Check bool
	// File says that the letters are a file's: anybody may have written where they came from.
	File bool
	// Agreed are jobs that want to be asked before a replay, and have been.
	Agreed map[string]bool
	// Begun names, by MessageId, the run that has begun to send a message and has not ended.
	Begun map[string]string
}

// Judge makes the judge of a plan. Destinations are looked for with ctx.
func (r *Replay) Judge(ctx context.Context, j Judging) dlqreplay.Judge {
	judge := dlqreplay.Judge{
		MaxDeaths: j.MaxDeaths, Limit: j.Limit, BreakOrder: j.BreakOrder, Begun: j.Begun,
		To: func(l *dlqreplay.Letter) (*dlqreplay.Destination, error) { return r.destinationOf(ctx, l, j.File) },
		Asks: func(job string) bool {
			d, ok := r.o.Jobs.Lookup(job)
			return ok && d.AsksBeforeReplay() && !j.Agreed[job]
		},
	}
	if j.Check {
		judge.Check = r.check
	}
	return judge
}

// Dies returns how long a message may need to die again, and in how many attempts: of the destination
// that gives it the longest, as far as it is configured here; 0 when none is.
func (r *Replay) Dies() (d time.Duration, attempts int) {
	for _, s := range specsOf(r.op.loaded.Config) {
		if !r.goesTo(s.queue.Name) {
			continue
		}
		n := max(s.retry.Attempts, 1)
		lasts := time.Duration(n) * s.timeout
		for attempt := 1; attempt < n; attempt++ {
			lasts += s.retry.Bound(attempt)
		}
		if lasts >= d {
			d, attempts = lasts, n
		}
	}
	return d, attempts
}

// goesTo reports whether letters may go to the queue of a name.
func (r *Replay) goesTo(name string) bool {
	if r.explicit != nil {
		return r.explicit.Name == name
	}
	for _, s := range r.sources {
		if s.name == name {
			return true
		}
	}
	for _, s := range r.subs {
		if s.Protocol == queueProtocol && awsapi.NameOf(s.Endpoint) == name {
			return true
		}
	}
	return false
}

// AsksBeforeReplay reports whether the replay of a job's letters needs consent.
func (r *Replay) AsksBeforeReplay(job string) bool {
	d, ok := r.o.Jobs.Lookup(job)
	return ok && d.AsksBeforeReplay()
}

// Asking are the jobs whose letters need consent, of those that the configuration has for where letters
// may go.
func (r *Replay) Asking() (names []string) {
	for _, s := range specsOf(r.op.loaded.Config) {
		if !r.goesTo(s.queue.Name) {
			continue
		}
		for _, name := range append(slices.Collect(maps.Values(s.kinds)), s.job) {
			if r.AsksBeforeReplay(name) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// registered are the names of the jobs of this program, for errors.
func (r *Replay) definition(name string) (*jobs.Definition, error) {
	d, ok := r.o.Jobs.Lookup(name)
	if !ok {
		return nil, &exitError{fmt.Sprintf("job %q is not in this program: it has %v", name, r.o.Jobs.Names()), 2}
	}
	return d, nil
}
