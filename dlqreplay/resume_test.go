package dlqreplay_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

// dying is a run that is killed: after so many steps nothing that it does has an effect any more, and
// nothing that it asks is answered. Its parts take the place of the journal, the destination and the
// dead-letter queue.
type dying struct {
	mu    sync.Mutex
	steps []string // done so far
	// dead is closed at its end.
	dead chan struct{}
	// dies says before which step it ends.
	dies func(step string, n int) bool
}

func newDying(dies func(step string, n int) bool) *dying {
	return &dying{dead: make(chan struct{}), dies: dies}
}

var errDead = errors.New("killed")

// step is one step of the run; false when it is dead.
func (k *dying) step(name string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	select {
	case <-k.dead:
		return false
	default:
	}
	if k.dies(name, len(k.steps)) {
		close(k.dead)
		return false
	}
	k.steps = append(k.steps, name)
	return true
}

type dyingLog struct {
	dlqreplay.Log
	k *dying
}

func (l dyingLog) Select(ids []string) error {
	if !l.k.step("select") {
		return errDead
	}
	return l.Log.Select(ids)
}

func (l dyingLog) Sending(ids []string, to string) error {
	if !l.k.step("sending") {
		return errDead
	}
	return l.Log.Sending(ids, to)
}

func (l dyingLog) Sent(from, to []string, refused []dlqreplay.Refusal) error {
	if !l.k.step("sent") {
		return errDead
	}
	return l.Log.Sent(from, to, refused)
}

func (l dyingLog) Deleted(ids []string) error {
	if !l.k.step("deleted") {
		return errDead
	}
	return l.Log.Deleted(ids)
}

func (l dyingLog) Returned(r dlqreplay.Return) error {
	if !l.k.step("returned") {
		return errDead
	}
	return l.Log.Returned(r)
}

func (l dyingLog) End(r *dlqreplay.Report) error {
	if !l.k.step("end") {
		return errDead
	}
	return l.Log.End(r)
}

type dyingTaker struct {
	dlqreplay.Taker
	k *dying
}

func (t dyingTaker) Take(ctx context.Context, ls []*dlqreplay.Letter, ms []queue.Message) ([]string, []error) {
	if !t.k.step("send") {
		<-ctx.Done()
		return make([]string, len(ms)), queue.Each(errDead, len(ms))
	}
	made, errs := t.Taker.Take(ctx, ls, ms)
	// The answer takes a while, and the deletes of earlier batches are recorded: else it is chance whether a
	// resumed run must wait until it is sure that what is not recorded as deleted is gone.
	<-time.After(time.Second)
	if !t.k.step("answer") {
		<-ctx.Done()
		return make([]string, len(ms)), queue.Each(errDead, len(ms))
	}
	return made, errs
}

// dyingSource is a dead-letter queue that a dead process cannot reach.
type dyingSource struct {
	dlqreplay.Source
	k *dying
}

func (s dyingSource) alive() bool {
	select {
	case <-s.k.dead:
		return false
	default:
		return true
	}
}

func (s dyingSource) Receive(ctx context.Context, n int, wait time.Duration) ([]queue.Delivery, error) {
	if !s.alive() {
		return nil, errDead
	}
	return s.Source.Receive(ctx, n, wait)
}

func (s dyingSource) Delete(ctx context.Context, handles []queue.ReceiptHandle) []error {
	if !s.k.step("delete") {
		return queue.Each(errDead, len(handles))
	}
	return s.Source.Delete(ctx, handles)
}

func (s dyingSource) ChangeVisibility(ctx context.Context, handles []queue.ReceiptHandle, visible []time.Duration) []error {
	if !s.alive() {
		return queue.Each(errDead, len(handles))
	}
	return s.Source.ChangeVisibility(ctx, handles, visible)
}

// kill runs a replay to its death, and returns its id.
func (d *depot) kill(k *dying, change func(o *dlqreplay.Options)) string {
	d.t.Helper()
	whole := d.dlq.Queue
	d.dlq.Queue = dyingSource{whole, k}
	o := d.begin()
	d.dlq.Queue = whole
	o.Judge = d.dyingJudge(k)
	j := o.Journal.(*dlqreplay.Journal)
	o.Journal, o.Hurry = dyingLog{j, k}, k.dead
	if change != nil {
		change(&o)
	}
	if _, err := dlqreplay.Run(d.t.Context(), o); err != nil && !errors.Is(err, errDead) {
		d.t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		d.t.Fatal(err)
	}
	return j.ID()
}

// dyingJudge sends everything to the depot's queue, until it is dead.
func (d *depot) dyingJudge(k *dying) dlqreplay.Judge {
	to := *d.to
	to.Taker = dyingTaker{to.Taker, k}
	return dlqreplay.Judge{To: func(*dlqreplay.Letter) (*dlqreplay.Destination, error) { return &to, nil }}
}

// resume goes on with a run as another process would.
func (d *depot) resume(id string, change func(o *dlqreplay.Options)) *dlqreplay.Report {
	d.t.Helper()
	j, past, err := d.store.Resume(id)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = j.Close() }() // what counts is read from the disk
	o := dlqreplay.Options{
		ReplayID: id, By: "somebody", Held: d.scan(nil), Past: past, Judge: d.judge(),
		Pace: dlqreplay.Pace{StopOnReturn: 1}, Journal: j, Event: d.event,
	}
	if change != nil {
		change(&o)
	}
	return d.run(o)
}

// at dies before the nth step of a name.
func at(name string, nth int) func(string, int) bool {
	return func(step string, _ int) bool {
		if step == name {
			nth--
		}
		return step == name && nth < 0
	}
}

func testResume(t *testing.T, name, step string, want func(r *dlqreplay.Report) bool) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, name)
		d.sendGroups2(30) // the third batch is the last
		k := newDying(at(step, 2))
		id := d.kill(k, func(o *dlqreplay.Options) { o.Pace.Loops = 1 })
		began := time.Now()
		r := d.resume(id, nil)
		if !r.Whole() || r.Selected != 30 || !want(r) {
			t.Errorf("%+v", r)
		}
		if took := time.Since(began); took < 30*time.Second || took > holdFor+2*time.Minute {
			t.Errorf("it took %s to wait for what the killed run had hidden", took)
		}
		if len(d.told(dlqreplay.Waiting)) == 0 {
			t.Error("nothing is told of the wait")
		}
		d.conserved(30, r.Ambiguous)
		d.holds(0, 0)
		again := d.resume(id, nil)
		if !again.Whole() || again.Replayed != 30 || again.Ambiguous != r.Ambiguous {
			t.Errorf("resumed once more: %+v", again)
		}
	})
}

// sendGroups2 sends n messages, each in a group of its own.
func (d *depot) sendGroups2(n int) { d.sendGroups(n, n) }

func TestResumeAfterACrashBeforeTheSendSends(t *testing.T) {
	testResume(t, "work", "sending", func(r *dlqreplay.Report) bool { return r.Ambiguous == 0 })
}

func TestResumeAfterACrashWhoseSendWasAnnouncedSendsAndCountsAmbiguous(t *testing.T) {
	testResume(t, "work", "send", func(r *dlqreplay.Report) bool { return r.Ambiguous == 10 })
}

func TestResumeAfterALostAnswerSendsAgainAndCountsAmbiguous(t *testing.T) {
	testResume(t, "work", "answer", func(r *dlqreplay.Report) bool { return r.Ambiguous == 10 })
}

func TestResumeAfterALostAnswerOfAFIFOQueueMakesNoDuplicate(t *testing.T) {
	testResume(t, "work.fifo", "answer", func(r *dlqreplay.Report) bool { return r.Ambiguous == 0 })
}

func TestResumeAfterAnAnswerThatWasNotRecordedSendsAgainAndCountsAmbiguous(t *testing.T) {
	testResume(t, "work", "sent", func(r *dlqreplay.Report) bool { return r.Ambiguous == 10 })
}

func TestResumeAfterSentDeletesOnly(t *testing.T) {
	testResume(t, "work", "delete", func(r *dlqreplay.Report) bool { return r.Ambiguous == 0 })
}

func TestResumeAfterDeletedSkips(t *testing.T) {
	testResume(t, "work", "deleted", func(r *dlqreplay.Report) bool { return r.Ambiguous == 0 })
}

// A resumed FIFO send after SQS has forgotten the deduplication id may be a duplicate, and counts as one.
func TestResumeOfAFIFOQueueAfterFiveMinutesIsAmbiguous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work.fifo")
		d.sendGroups2(20)
		id := d.kill(newDying(at("answer", 0)), func(o *dlqreplay.Options) { o.Pace.Loops = 1 })
		<-time.After(10 * time.Minute)
		r := d.resume(id, nil)
		if !r.Whole() || r.Ambiguous != 10 {
			t.Errorf("%+v", r)
		}
		d.conserved(20, 10)
	})
}

// The five minutes are those since the send, also when another run has gone on in between and died too.
func TestResumeOfAFIFOQueueCountsFromTheSendThroughTwoDeaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work.fifo")
		d.sendGroups2(20)
		id := d.kill(newDying(at("answer", 1)), func(o *dlqreplay.Options) { o.Pace.Loops = 1 })
		<-time.After(4 * time.Minute)
		j, past, err := d.store.Resume(id)
		if err != nil {
			t.Fatal(err)
		}
		for letter, state := range past.All() {
			if state == dlqreplay.Deleted { // it says so once more, and dies
				if err := errors.Join(j.Deleted([]string{letter}), j.Close()); err != nil {
					t.Fatal(err)
				}
				break
			}
		}
		<-time.After(2 * time.Minute)
		if r := d.resume(id, nil); !r.Whole() || r.Ambiguous != 10 {
			t.Errorf("%+v", r)
		}
		d.conserved(20, 10)
	})
}

// A send that SQS drops as a duplicate is our own earlier one: the letter is not lost when it is deleted.
func TestASendThatIsDroppedAsADuplicateIsOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work.fifo")
		d.sendGroups2(50)
		d.once("SendMessageBatch", d.workURL, 5, localaws.Fault{Lose: true})
		// The same bodies were sent to the queue just before, under the ids that they had then.
		o := d.begin()
		r := d.run(o)
		if !r.Whole() || r.Ambiguous != 0 {
			t.Errorf("%+v", r)
		}
		d.conserved(50, 0)
	})
}

func TestResumeAfterAnInterruptGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(500)
		o := d.begin()
		o.Pace.Rate = 50
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		first := d.runIn(ctx, o)
		j := o.Journal.(*dlqreplay.Journal)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		d.send(queue.Message{Body: "new"})
		began := time.Now()
		r := d.resume(j.ID(), nil)
		if first.Outcome != dlqreplay.Interrupted || !r.Whole() || r.Replayed != 500 || r.Ambiguous != 0 || time.Since(began) > 30*time.Second {
			t.Errorf("first %+v, then %+v", first, r)
		}
		d.holds(1, 0)
	})
}

func TestAResumedRunKnowsItsReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(100)
		o := d.begin()
		o.Pace = careful()
		o.Pace.Canary = 10
		stop := d.worker(func(m *queue.Delivery) bool { return len(m.Body) == len(`{"n":1}`) }) // the first ten
		first := d.run(o)
		stop()
		j := o.Journal.(*dlqreplay.Journal)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		stop = d.worker(never)
		r := d.resume(j.ID(), func(o *dlqreplay.Options) { o.Pace = careful(); o.Pace.Canary = 10 })
		stop()
		if first.Outcome != dlqreplay.Stopped || first.Returned == 0 {
			t.Fatalf("%+v", first)
		}
		if r.Outcome != dlqreplay.Completed || r.Returned != first.Returned || r.Replayed != 100 || r.Whole() {
			t.Errorf("first %s\nthen  %s", fmt.Sprintf("%+v", first), fmt.Sprintf("%+v", r))
		}
	})
}

// A run that is killed after its letters are deleted, and before it can say so, leaves nothing to wait for
// the second time.
func TestWhatIsFoundDeletedIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(30)
		id := d.kill(newDying(at("deleted", 0)), func(o *dlqreplay.Options) { o.Pace.Loops = 1 })
		if r := d.resume(id, nil); !r.Whole() {
			t.Fatalf("%+v", r)
		}
		began := time.Now()
		if r := d.resume(id, nil); !r.Whole() || time.Since(began) > 10*time.Second {
			t.Errorf("after %s: %+v", time.Since(began), r)
		}
	})
}

// Interrupted while it waits for what is hidden, a resumed run leaves that for the next one.
func TestAnInterruptedWaitGivesNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(30)
		id := d.kill(newDying(at("send", 0)), nil)
		j, past, err := d.store.Resume(id)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		r := d.runIn(ctx, dlqreplay.Options{
			ReplayID: id, Held: d.scan(nil), Past: past, Judge: d.judge(), Pace: dlqreplay.Pace{StopOnReturn: 1}, Journal: j,
		})
		if r.Outcome != dlqreplay.Interrupted || r.Left != 30 || r.Gone != 0 {
			t.Errorf("%+v", r)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if r := d.resume(id, nil); !r.Whole() || r.Replayed != 30 {
			t.Errorf("%+v", r)
		}
	})
}
