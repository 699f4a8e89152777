// Package ingress serves the HTTP endpoints that SNS delivers to: it proves that SNS wrote a request
// about a topic that is expected there, hands the message to its job and answers as SNS reads answers.
//
//	method, headers, size ─▶ form ─▶ topic is expected ─▶ certificate ─▶ signature ─▶ age ─┬─▶ known? ─▶ job
//	                                                                                       ├─▶ confirm, attach, prove
//	                                                                                       └─▶ unsubscribed: say so
//
// Nothing is believed before the signature. No URL of a message is ever fetched: a certificate's is
// made anew from the topic's region (package internal/snssign), and a subscription is confirmed by a
// signed call with the token.
//
// SNS tries again after an answer of 500 or more, or none; anything between 300 and 499 is over, and
// perhaps in no dead-letter queue. So 4xx is for what SNS cannot have meant for this path, and all
// that may be mended or may pass is 503: it is tried again and ends in the subscription's dead-letter
// queue. So is a form of signature that this version does not know yet.
package ingress

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/stationmaster/worker/internal/snssign"
	"github.com/stationmaster/worker/queue"
)

// endGrace is how long after its context's end a job may take to notice it.
const endGrace = 500 * time.Millisecond

// Causes of a job's context (context.Cause).
var (
	// ErrDrain: the drain deadline has come.
	ErrDrain = errors.New("worker is draining")
	// ErrTimeout: SNS waits no longer for an answer.
	ErrTimeout = errors.New("job timeout")
)

// Handler serves the paths. Make it with New; it serves at once, and Run ends it.
type Handler struct {
	o            Options
	paths        map[string]*path
	certificates *certificates

	mu       sync.Mutex
	draining bool
	runs     map[*run]struct{}
	idle     chan struct{} // closed when draining and nothing runs
	report   Report
}

// Report says what a drain did.
type Report struct {
	// Finished are the jobs that ended while draining, DeadLettered those among them that failed for
	// good. Abandoned jobs ignored their end: SNS delivers their messages again.
	Finished, DeadLettered, Abandoned int
}

// New makes a handler. Its error names every fault of the options at once.
func New(o Options) (*Handler, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	o.fill()
	h := &Handler{o: o, paths: map[string]*path{}, runs: map[*run]struct{}{}, idle: make(chan struct{})}
	var err error
	if h.certificates, err = newCertificates(o.Certificates); err != nil {
		return nil, err
	}
	for _, p := range o.Paths {
		made, err := newPath(p, o.Endpoint)
		if err != nil {
			return nil, err
		}
		h.paths[p.Path] = made
		h.paths[o.below(p.Path)] = made
	}
	return h, nil
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := h.paths[r.URL.Path]
	if p == nil {
		unknown(w, r)
		return
	}
	a := h.answer(w, r, p)
	if a.err != nil && !a.told {
		p.Hooks.refused(r.Context(), a.status, a.err)
	}
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	if a.status == http.StatusMethodNotAllowed {
		header.Set("Allow", http.MethodPost)
	}
	if h.isDraining() || a.status >= 400 && a.status < 500 || a.stranger {
		header.Set("Connection", "close") // there is a limit of connections, and none is for strangers
	}
	w.WriteHeader(a.status)
	fmt.Fprintln(w, http.StatusText(a.status)) // the reason is for the log: anybody may have asked
}

// unknown answers for a path that is not served here. A worker of another version may serve it, or a
// declaration be wrong: a message of SNS is left to its next try and to the dead-letter queue.
func unknown(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close")
	if r.Method == http.MethodPost && r.Header.Get("X-Amz-Sns-Message-Type") != "" {
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		return
	}
	http.NotFound(w, r)
}

// answer is what SNS is told.
type answer struct {
	status int
	err    error // why it is no 200
	told   bool  // a hook has said so
	// stranger: it may be tried again, but nothing says that it was SNS who asked.
	stranger bool
	// deadLettered: its message failed for good and was sent where it belongs.
	deadLettered bool
}

var done = answer{status: http.StatusOK}

func refuse(status int, err error) answer { return answer{status: status, err: err} }

// again lets SNS try once more, and end in the subscription's dead-letter queue.
func again(err error) answer { return refuse(http.StatusServiceUnavailable, err) }

var errDraining = errors.New("the worker is draining")

func (h *Handler) answer(w http.ResponseWriter, r *http.Request, p *path) answer {
	arrived := time.Now()
	if h.isDraining() {
		return again(errDraining)
	}
	body, no := h.read(w, r)
	if no != nil {
		return *no
	}
	m, no := h.prove(r, p, body)
	if no != nil {
		return *no
	}
	switch m.Type {
	case snssign.SubscriptionConfirmation:
		return h.within(r, arrived, p, m, h.confirm)
	case snssign.UnsubscribeConfirmation:
		return h.within(r, arrived, p, m, h.unsubscribed)
	}
	return h.notify(r.Context(), p, m, body, arrived)
}

// within bounds what is asked of SNS while SNS waits, and asks once for each message.
func (h *Handler) within(r *http.Request, arrived time.Time, p *path, m *snssign.Message, do func(context.Context, *path, *snssign.Message) answer) answer {
	if p.memory.done.Contains(m.MessageID) {
		return done
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(r.Context()), arrived.Add(h.o.Timeout))
	defer cancel()
	a := do(ctx, p, m)
	if a.status < 300 {
		p.memory.done.Add(m.MessageID, struct{}{})
	}
	return a
}

func (h *Handler) isDraining() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.draining
}

// Run waits until the receive context ends, then drains: what comes is answered with 503 and the jobs
// go on until the handle context ends, which cancels them.
func (h *Handler) Run(receive, handle context.Context) Report {
	select {
	case <-receive.Done():
	case <-handle.Done():
	}
	h.drain()
	select {
	case <-h.idle:
	case <-handle.Done():
		h.end(context.Cause(handle))
		timer := time.NewTimer(4 * endGrace)
		defer timer.Stop()
		select {
		case <-h.idle:
		case <-timer.C:
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.report.Abandoned = len(h.runs)
	return h.report
}

func (h *Handler) drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.draining {
		h.draining = true
		h.settleIdle()
	}
}

// settleIdle tells Run that nothing runs any more. h.mu is held.
func (h *Handler) settleIdle() {
	if h.draining && len(h.runs) == 0 {
		select {
		case <-h.idle:
		default:
			close(h.idle)
		}
	}
}

// end cancels the jobs.
func (h *Handler) end(cause error) {
	if cause == nil || errors.Is(cause, context.Canceled) {
		cause = ErrDrain
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for r := range h.runs {
		r.cancel(cause)
	}
}

// State is what one path is doing.
type State struct {
	// State is "serving", "paused" or "draining".
	State string
	// Busy is how many messages are being handled.
	Busy int
	// PausedUntil is when a pause that a job asked for ends.
	PausedUntil time.Time
}

// State returns the state of a path; the zero value for one that is not served.
func (h *Handler) State(name string) State {
	p := h.paths[name]
	if p == nil {
		return State{}
	}
	s := State{State: "serving", Busy: len(p.slots)}
	if until := p.pausedUntil(); !until.IsZero() {
		s.State, s.PausedUntil = "paused", until
	}
	if h.isDraining() {
		s.State = "draining"
	}
	return s
}

// Subscriptions is what is asked of SNS about subscriptions. Errors wrap the classes of package queue;
// an empty value given to SetSubscriptionAttribute removes the attribute.
type Subscriptions interface {
	// ConfirmSubscription confirms with AuthenticateOnUnsubscribe, and returns what was confirmed: the
	// token alone decides that.
	ConfirmSubscription(ctx context.Context, topicARN, token string) (subscriptionARN string, err error)
	Unsubscribe(ctx context.Context, subscriptionARN string) error
	Subscribe(ctx context.Context, topicARN, protocol, endpoint string, attributes map[string]string) (subscriptionARN string, err error)
	SubscriptionAttributes(ctx context.Context, subscriptionARN string) (map[string]string, error)
	SetSubscriptionAttribute(ctx context.Context, subscriptionARN, name, to string) error
}

// errNoDeadLetters says that a message that failed for good stays with SNS.
var errNoDeadLetters = errors.New("the subscription has no dead-letter queue")

// sendDeadLetter bounds one send.
func sendDeadLetter(ctx context.Context, to queue.Sender, m queue.Message) error {
	if to == nil {
		return errNoDeadLetters
	}
	_, errs := to.Send(ctx, []queue.Message{m})
	return queue.At(errs, 0)
}
