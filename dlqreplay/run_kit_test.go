package dlqreplay_test

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

// depot is a yard with a queue to replay to and a place for journals.
type depot struct {
	*yard
	workURL string
	work    *awsapi.Queue
	to      *dlqreplay.Destination
	store   dlqreplay.Store
}

// newDepot must be called inside a synctest bubble. Its queues are FIFO when the name says so.
func newDepot(t *testing.T, name string) *depot {
	t.Helper()
	return newNastyDepot(t, name, localaws.Nasty{})
}

func newNastyDepot(t *testing.T, name string, nasty localaws.Nasty) *depot {
	t.Helper()
	base, fifo := strings.CutSuffix(name, ".fifo")
	dead := base + "-dlq"
	attributes := map[string]string{}
	if fifo {
		dead += ".fifo"
		attributes["FifoQueue"] = "true"
	}
	d := &depot{yard: newYard(t, dead, nasty), store: dlqreplay.Store{Dir: filepath.Join(t.TempDir(), "replay")}}
	var err error
	if d.workURL, err = d.api.CreateQueue(t.Context(), name, attributes, nil); err != nil {
		t.Fatal(err)
	}
	d.work = d.api.Queue(d.workURL, awsapi.QueueOptions{Visibility: time.Hour})
	d.to = &dlqreplay.Destination{
		Name: name, ARN: "arn:aws:sqs:us-east-1:000000000000:" + name, FIFO: fifo, Marks: true,
		Taker: dlqreplay.Sends(d.work.Once()),
		Counts: func(ctx context.Context) (dlqreplay.Counts, error) {
			c, err := d.api.QueueCounts(ctx, d.workURL)
			return dlqreplay.Counts(c), err
		},
	}
	return d
}

// judge sends everything to the depot's queue.
func (d *depot) judge() dlqreplay.Judge {
	return dlqreplay.Judge{To: func(*dlqreplay.Letter) (*dlqreplay.Destination, error) { return d.to, nil }}
}

// begin scans, plans and opens a journal: a run of everything, without canary, watch and limits.
func (d *depot) begin() dlqreplay.Options {
	d.t.Helper()
	held := d.scan(nil)
	j, err := d.store.Begin(dlqreplay.Header{Action: dlqreplay.ActionReplay, DLQ: d.dlq.Name, FIFO: d.dlq.FIFO})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = j.Close() }) // a test may have closed it
	return dlqreplay.Options{
		ReplayID: j.ID(), By: "somebody", Held: held, Plan: d.plan(held, nil, d.judge()), Judge: d.judge(),
		Pace: dlqreplay.Pace{StopOnReturn: 1}, Journal: j, Event: d.event,
	}
}

func (d *depot) event(e dlqreplay.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, e)
}

// told returns the events of a kind.
func (d *depot) told(kind dlqreplay.EventKind) (all []dlqreplay.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.events {
		if e.Kind == kind {
			all = append(all, e)
		}
	}
	return all
}

func (d *depot) run(o dlqreplay.Options) *dlqreplay.Report {
	d.t.Helper()
	return d.runIn(d.t.Context(), o)
}

func (d *depot) runIn(ctx context.Context, o dlqreplay.Options) *dlqreplay.Report {
	d.t.Helper()
	r, err := dlqreplay.Run(ctx, o)
	if err != nil {
		d.t.Fatal(err)
	}
	if r.Selected != r.Replayed+r.Failed+r.Gone+r.Left {
		d.t.Errorf("the report does not add up: %+v", r)
	}
	return r
}

// all receives everything that is in a queue now; of a FIFO queue it deletes it, to see what is behind it.
func (d *depot) all(url string) (all []queue.Delivery) {
	d.t.Helper()
	q := d.api.Queue(url, awsapi.QueueOptions{Visibility: time.Hour})
	for {
		ds, err := q.Receive(d.t.Context(), queue.MaxBatch, time.Second)
		if err != nil {
			d.t.Fatal(err)
		}
		if len(ds) == 0 {
			return all
		}
		all = append(all, ds...)
		if d.dlq.FIFO {
			handles := make([]queue.ReceiptHandle, len(ds))
			for i := range ds {
				handles[i] = ds[i].Handle
			}
			if errs := q.Delete(d.t.Context(), handles); errs != nil {
				d.t.Fatal(errs)
			}
		}
	}
}

// byBody counts the bodies of deliveries.
func byBody(ds []queue.Delivery) map[string]int {
	all := map[string]int{}
	for _, d := range ds {
		all[d.Body]++
	}
	return all
}

// conserved checks that nothing was lost and that no more is there twice than was said to be possible.
func (d *depot) conserved(n, ambiguous int) {
	d.t.Helper()
	if lost, twice := d.account(n); lost > 0 || twice > ambiguous {
		d.t.Errorf("%d lost, %d twice (at most %d may be)", lost, twice, ambiguous)
	}
}

// account counts what is in neither queue, and what is there more than once.
func (d *depot) account(n int) (lost, twice int) {
	d.t.Helper()
	there := byBody(append(d.all(d.workURL), d.all(d.url)...))
	for i := range n {
		switch got := there[fmt.Sprintf(`{"n":%d}`, i)]; {
		case got == 0:
			lost++
		case got > 1:
			twice++ // or more often: each answer that is lost may leave one
		}
	}
	return lost, twice
}

// spoil fails one of twenty entries of an action on a queue.
func (d *depot) spoil(action, url, code string) {
	const every = 20
	var mu sync.Mutex
	n := 0
	d.server.Control(action, func(r *localaws.Request) *localaws.Fault {
		mu.Lock()
		defer mu.Unlock()
		if r.Target != url {
			return nil
		}
		failed := map[string]string{}
		for _, id := range r.Entries {
			if n++; n%every == 0 {
				failed[id] = code
			}
		}
		return &localaws.Fault{Entries: failed}
	})
}

// once spoils the first requests of an action on a queue.
func (d *depot) once(action, url string, times int, f localaws.Fault) {
	var mu sync.Mutex
	n := 0
	d.server.Control(action, func(r *localaws.Request) *localaws.Fault {
		mu.Lock()
		defer mu.Unlock()
		if r.Target != url || n >= times {
			return nil
		}
		n++
		return &f
	})
}

// worker receives what is replayed and lets a part of it die again, as a worker would.
func (d *depot) worker(dies func(m *queue.Delivery) bool) (stop func()) {
	ctx, cancel := context.WithCancel(d.t.Context())
	var over sync.WaitGroup
	over.Go(func() {
		for ctx.Err() == nil {
			ds, err := d.work.Receive(ctx, queue.MaxBatch, time.Second)
			if err != nil {
				return
			}
			for i := range ds {
				if dies(&ds[i]) {
					d.die(ctx, &ds[i])
				}
			}
			for batch := range slices.Chunk(ds, queue.MaxBatch) {
				handles := make([]queue.ReceiptHandle, len(batch))
				for i := range batch {
					handles[i] = batch[i].Handle
				}
				d.work.Delete(ctx, handles)
			}
		}
	})
	return func() {
		cancel()
		over.Wait()
	}
}

// die sends a delivery to the dead-letter queue with a record.
func (d *depot) die(ctx context.Context, m *queue.Delivery) {
	record := deadletter.New(m, deadletter.Death{Job: "email", Queue: "work", Build: "v2", Host: "here", Now: time.Now()},
		fmt.Errorf("smtp: 535 authentication failed"))
	dead := queue.Message{Body: m.Body, Attributes: maps.Clone(m.Attributes), GroupID: m.GroupID, TraceHeader: m.TraceHeader}
	if d.dlq.FIFO {
		dead.DeduplicationID = m.MessageID
	}
	if err := record.Write(&dead); err != nil {
		return
	}
	d.q.Send(ctx, []queue.Message{dead})
}
