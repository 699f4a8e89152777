package poller_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
)

// fakeQueue is one standard queue in virtual time, with faults on request. It counts what it is
// asked for. Receipts behave as SQS's do: any receipt ever given still deletes and still changes
// visibility, and a newer one does not make the older invalid.
type fakeQueue struct {
	visibility time.Duration
	fifo       bool

	mu       sync.Mutex
	messages []*fakeMessage
	changed  chan struct{}
	receipts map[queue.ReceiptHandle]*fakeMessage

	receives, deletes, changes int // requests
	asked                      []int
	deleted                    []string
	hidden                     []hiding
	fail                       func(op string, h queue.ReceiptHandle) error
	failReceive                func() error
	stuck                      chan struct{} // deletes wait for its close
}

type fakeMessage struct {
	id       string
	m        queue.Message
	visible  time.Time
	receives int
	first    time.Time
	gone     bool
}

type hiding struct {
	id string
	d  time.Duration
	at time.Time
}

func newFakeQueue(visibility time.Duration) *fakeQueue {
	return &fakeQueue{visibility: visibility, changed: make(chan struct{}), receipts: map[queue.ReceiptHandle]*fakeMessage{}}
}

func (q *fakeQueue) put(bodies ...string) { q.add("", 0, bodies) }

// putGroup sends messages of one group.
func (q *fakeQueue) putGroup(group string, bodies ...string) { q.add(group, 0, bodies) }

// putReceived sends messages that others have received so often.
func (q *fakeQueue) putReceived(receives int, bodies ...string) { q.add("", receives, bodies) }

func (q *fakeQueue) add(group string, receives int, bodies []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, b := range bodies {
		id := fmt.Sprintf("m%d", len(q.messages))
		q.messages = append(q.messages, &fakeMessage{id: id, m: queue.Message{Body: b, GroupID: group}, receives: receives, visible: time.Now()})
	}
	close(q.changed)
	q.changed = make(chan struct{})
}

func (q *fakeQueue) Receive(ctx context.Context, n int, wait time.Duration) ([]queue.Delivery, error) {
	q.mu.Lock()
	q.receives++
	q.asked = append(q.asked, n)
	fail := q.failReceive
	q.mu.Unlock()
	if fail != nil {
		if err := fail(); err != nil {
			return nil, err
		}
	}
	end := time.Now().Add(wait)
	for {
		got, changed, next := q.try(n)
		if len(got) > 0 {
			return got, nil
		}
		if next.IsZero() || next.After(end) {
			next = end
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-changed:
		case <-timer.C:
			if !time.Now().Before(end) {
				return nil, nil
			}
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
		timer.Stop()
	}
}

func (q *fakeQueue) try(n int) (got []queue.Delivery, changed chan struct{}, next time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	blocked := map[string]bool{}
	if q.fifo { // a group with anything in flight hands out nothing more
		for _, m := range q.messages {
			blocked[m.m.GroupID] = blocked[m.m.GroupID] || !m.gone && m.visible.After(now)
		}
	}
	for _, m := range q.messages {
		if m.gone || len(got) == n {
			continue
		}
		if q.fifo && blocked[m.m.GroupID] {
			if m.visible.After(now) && (next.IsZero() || m.visible.Before(next)) {
				next = m.visible
			}
			continue
		}
		if m.visible.After(now) {
			if next.IsZero() || m.visible.Before(next) {
				next = m.visible
			}
			continue
		}
		m.receives++
		m.visible = now.Add(q.visibility)
		if m.first.IsZero() {
			m.first = now
		}
		h := queue.ReceiptHandle(fmt.Sprintf("%s#%d", m.id, m.receives))
		q.receipts[h] = m
		got = append(got, queue.Delivery{
			Message: m.m, MessageID: m.id, Handle: h, Receives: m.receives,
			FirstReceived: m.first, Received: now, Deadline: m.visible,
		})
	}
	return got, q.changed, next
}

func (q *fakeQueue) Delete(_ context.Context, handles []queue.ReceiptHandle) []error {
	q.mu.Lock()
	stuck := q.stuck
	q.mu.Unlock()
	if stuck != nil {
		<-stuck
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.deletes++
	defer func() { // on a FIFO queue the next of the group may come
		close(q.changed)
		q.changed = make(chan struct{})
	}()
	return q.each("delete", handles, func(i int, m *fakeMessage) {
		m.gone = true
		q.deleted = append(q.deleted, m.id)
	})
}

func (q *fakeQueue) ChangeVisibility(_ context.Context, handles []queue.ReceiptHandle, d []time.Duration) []error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.changes++
	defer func() {
		close(q.changed)
		q.changed = make(chan struct{})
	}()
	return q.each("change", handles, func(i int, m *fakeMessage) {
		m.visible = time.Now().Add(d[i])
		q.hidden = append(q.hidden, hiding{m.id, d[i], time.Now()})
	})
}

func (q *fakeQueue) each(op string, handles []queue.ReceiptHandle, do func(int, *fakeMessage)) []error {
	if len(handles) > queue.MaxBatch || len(handles) == 0 {
		return queue.Each(fmt.Errorf("batch of %d: %w", len(handles), queue.ErrRejected), len(handles))
	}
	errs := make([]error, len(handles))
	for i, h := range handles {
		if q.fail != nil {
			if err := q.fail(op, h); err != nil {
				errs[i] = err
				continue
			}
		}
		m, ok := q.receipts[h]
		if !ok {
			errs[i] = queue.ErrLeaseLost
			continue
		}
		do(i, m)
	}
	return errs
}

// left returns how many messages are neither deleted nor hidden beyond now.
func (q *fakeQueue) left() (stored, inFlight int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		switch {
		case m.gone:
		case m.visible.After(time.Now()):
			inFlight++
		default:
			stored++
		}
	}
	return stored, inFlight
}

// seen are counts that may be read while the poller runs.
// first is how often the first message was received.
type seen struct{ receives, deleted, hidden, first int }

func (q *fakeQueue) seen() seen {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := seen{receives: q.receives, deleted: len(q.deleted), hidden: len(q.hidden)}
	if len(q.messages) > 0 {
		s.first = q.messages[0].receives
	}
	return s
}

func (q *fakeQueue) set(change func(q *fakeQueue)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	change(q)
}

// deadLetters is a Sender that keeps what it is sent.
type deadLetters struct {
	mu   sync.Mutex
	err  error
	sent []queue.Message
}

func (s *deadLetters) Send(_ context.Context, m []queue.Message) ([]string, []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return make([]string, len(m)), queue.Each(s.err, len(m))
	}
	s.sent = append(s.sent, m...)
	return make([]string, len(m)), nil
}

func (s *deadLetters) all() []queue.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]queue.Message(nil), s.sent...)
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

var errBoom = errors.New("boom")

// pass lets virtual time pass and then waits until nothing moves.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// open makes an instance of a job of one function.
func open(t *testing.T, do job) *jobs.Instance {
	t.Helper()
	r := jobs.NewRegistry()
	jobs.AddTo(r, "email", do)
	d, _ := r.Lookup("email")
	i, err := d.Open(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return i
}
