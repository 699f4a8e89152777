package dlqreplay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stationmaster/worker/internal/pause"
	"github.com/stationmaster/worker/queue"
)

// MaxTaskRate is the most messages a second that SQS's own redrive can be told.
const MaxTaskRate = 500

// taskPoll is how often a task is looked at; SQS itself counts about as often.
const taskPoll = 2 * time.Second

// Task is one of SQS's own redrives of a dead-letter queue.
type Task struct {
	// Handle is known only while the task runs.
	Handle string
	// Status is RUNNING, COMPLETED, CANCELLING, CANCELLED or FAILED.
	Status  string
	Failure string
	ToARN   string
	Moved   int64
	// ToMove is about how many there were when it began; 0 when SQS does not say.
	ToMove  int64
	Started time.Time
}

// running reports whether a task still moves something.
func (t *Task) running() bool { return t.Status == "RUNNING" || t.Status == "CANCELLING" }

// Tasks are SQS's own redrives.
type Tasks interface {
	Start(ctx context.Context, fromARN, toARN string, perSecond int) (handle string, err error)
	// List returns the last tasks of a queue, the latest first.
	List(ctx context.Context, fromARN string) ([]Task, error)
	Cancel(ctx context.Context, handle string) (moved int64, err error)
}

// NativeOptions are what a run by SQS itself is made of.
type NativeOptions struct {
	ReplayID string
	DLQ      *DLQ
	// To needs an ARN: without one, SQS gives up at the first message that a worker has sent to the
	// dead-letter queue.
	To    *Destination
	Tasks Tasks
	// Rate is the most messages a second, MaxTaskRate at most; 0 leaves it to SQS.
	Rate int
	// Journal, where there is one, gets the report. It is closed by the caller.
	Journal interface {
		Path() string
		End(r *Report) error
	}
	// Leave is asked when ctx ends: true leaves the task running, false cancels it. Nil cancels.
	Leave func() bool
	Event func(Event)
}

// native is one run by SQS.
type native struct {
	NativeOptions
	started time.Time
	before  Counts
	report  *Report
	telling sync.Mutex
}

// RunNative lets SQS move everything. It moves fast, costs no requests, and knows neither canary nor
// journal nor returns: what it moved is counted, not named. The error is that of a task that could not be
// started; later ones are the report's.
func RunNative(ctx context.Context, o NativeOptions) (*Report, error) {
	if o.To == nil || o.To.ARN == "" {
		return nil, errors.New("replay by sqs: the destination has no ARN; name a queue with --to, or use --native never")
	}
	if o.Rate > MaxTaskRate {
		return nil, fmt.Errorf("replay by sqs: rate %d/s is more than SQS takes; use at most %d/s, or --native never", o.Rate, MaxTaskRate)
	}
	n := &native{NativeOptions: o, started: time.Now(), report: &Report{ReplayID: o.ReplayID}}
	if o.Journal != nil {
		n.report.Journal = o.Journal.Path()
		n.tell(Event{Kind: JournalAt, Path: n.report.Journal})
	}
	var err error
	if n.before, err = o.DLQ.Counts(ctx); err != nil {
		return nil, fmt.Errorf("replay by sqs: %w", err)
	}
	work := context.WithoutCancel(ctx)
	handle, err := n.start(work)
	if err != nil {
		return nil, fmt.Errorf("replay by sqs: %w", err)
	}
	n.tell(Event{Kind: Unobserved, Why: "what SQS moves bears no mark of the replay"})
	n.run(ctx, work, handle)
	n.report.Took = time.Since(n.started)
	if o.Journal != nil {
		err = o.Journal.End(n.report)
	}
	n.tell(Event{Kind: Ended, Report: n.report})
	return n.report, err
}

// start starts the task. Whether one whose answer was lost has started shows in the list.
func (n *native) start(ctx context.Context) (handle string, err error) {
	handle, err = n.Tasks.Start(ctx, n.DLQ.ARN, n.To.ARN, n.Rate)
	if errors.Is(err, queue.ErrUnanswered) {
		task, gone := n.look(ctx, "")
		if gone != nil {
			return "", err
		}
		return task.Handle, nil
	}
	return handle, err
}

// run goes with the task to its end, or to ours.
func (n *native) run(ctx, work context.Context, handle string) {
	task, err := n.follow(ctx, handle)
	switch {
	case err == nil:
	case ctx.Err() == nil:
		n.end(Failed, fmt.Sprintf("%v; the task may still be running", err))
	default:
		task = n.interrupted(work, handle, task)
	}
	n.count(work, task)
}

func (n *native) tell(e Event) {
	if n.Event == nil {
		return
	}
	e.At = time.Now()
	n.telling.Lock()
	defer n.telling.Unlock()
	n.Event(e)
}

func (n *native) end(outcome Outcome, why string) { n.report.Outcome, n.report.Why = outcome, why }

// follow looks at the task until it ends, and returns it as it was last seen. A failure to look is passed
// over for a while: the task goes on without us.
func (n *native) follow(ctx context.Context, handle string) (Task, error) {
	last, failed := Task{Handle: handle, Status: "RUNNING"}, 0
	for {
		task, err := n.look(ctx, handle)
		switch {
		case err == nil:
			last, failed = task, 0
			n.tell(Event{Kind: MoveTask, Done: int(task.Moved), Total: int(n.total(&task))})
			if !task.running() {
				return last, nil
			}
		case ctx.Err() != nil:
			return last, ctx.Err()
		default:
			if failed++; failed > 30 {
				return last, err
			}
			n.tell(Event{Kind: Retrying, Err: err.Error()})
		}
		if err := pause.For(ctx, taskPoll); err != nil {
			return last, err
		}
	}
}

// look finds the task. Once it has ended it has no handle any more; it is the latest then.
func (n *native) look(ctx context.Context, handle string) (Task, error) {
	tasks, err := n.Tasks.List(ctx, n.DLQ.ARN)
	if err != nil {
		return Task{}, err
	}
	for _, t := range tasks {
		if t.Handle == handle && handle != "" || (t.Handle == "" || handle == "") && t.ToARN == n.To.ARN && t.Started.After(n.started.Add(-time.Minute)) {
			return t, nil
		}
	}
	return Task{}, fmt.Errorf("the redrive of %s is not among its last %d", n.DLQ.Name, len(tasks))
}

// total is about how many there are to move.
func (n *native) total(t *Task) int64 {
	if t.ToMove > 0 {
		return t.ToMove
	}
	return n.before.Visible
}

// interrupted cancels the task or leaves it, as the operator says.
func (n *native) interrupted(ctx context.Context, handle string, task Task) Task {
	if n.Leave != nil && n.Leave() {
		n.end(Interrupted, "SQS goes on by itself: the task was left running")
		return task
	}
	moved, err := n.Tasks.Cancel(ctx, handle)
	if err != nil {
		n.end(Interrupted, fmt.Sprintf("the task could not be cancelled, and may still be running: %v", err))
		return task
	}
	n.end(Interrupted, "the task was cancelled; what it had moved stays moved")
	task.Moved = max(task.Moved, moved)
	task.Status = "CANCELLED"
	return task
}

// count says what became of everything. The queue is counted again, since a task can complete without
// having moved what had only just come.
func (n *native) count(ctx context.Context, task Task) {
	r := n.report
	r.Replayed = int(task.Moved)
	r.Selected = max(int(n.total(&task)), r.Replayed)
	r.Unwatched = r.Replayed
	r.To = map[string]int{n.To.Name: r.Replayed}
	if task.Status == "FAILED" {
		n.end(Failed, "SQS gave up: "+task.Failure)
	} else if r.Outcome == "" {
		n.end(Completed, "")
	}
	left := int64(max(r.Selected-r.Replayed, 0))
	after, err := n.DLQ.Counts(ctx)
	switch {
	case err != nil:
		r.Why = sentence(r.Why, fmt.Sprintf("what is left could not be counted: %v", err))
	case r.Outcome == Completed:
		left = after.Visible + after.InFlight + after.Delayed
		if left > 0 {
			r.Why = fmt.Sprintf("SQS says that it is done, and about %d are in %s: they may have come meanwhile, or have just been released; replay again",
				left, n.DLQ.Name)
		}
	default:
		left = max(left, after.Visible)
	}
	r.Left = int(left)
	r.Selected = r.Replayed + r.Left
}

// sentence puts two reasons into one sentence.
func sentence(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}
