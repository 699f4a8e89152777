package dlqreplay_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

// What goes wrong with a mover of 3,000 messages, and what it leaves behind.
func TestNothingIsLostWhateverFails(t *testing.T) {
	n := 3000
	if testing.Short() || hundredThousand < 100_000 {
		n = 600
	}
	for _, row := range []struct {
		name      string
		spoil     func(d *depot)
		ambiguous int
		want      func(r *dlqreplay.Report) bool
	}{
		{"nothing", func(*depot) {}, 0, (*dlqreplay.Report).Whole},
		{"one of twenty sends fails for a passing reason", func(d *depot) { d.spoil("SendMessageBatch", d.workURL, "InternalError") }, 0, (*dlqreplay.Report).Whole},
		{
			"one of twenty sends is refused for good", func(d *depot) { d.spoil("SendMessageBatch", d.workURL, "InvalidMessageContents") }, 0,
			func(r *dlqreplay.Report) bool {
				return r.Outcome == dlqreplay.Completed && r.Failed == n/20 && r.Replayed == n-n/20 &&
					len(r.Failures) == 1 && r.Failures[0].Count == n/20 && r.Released == n/20 && !r.Whole()
			},
		},
		{"one of twenty deletes fails", func(d *depot) { d.spoil("DeleteMessageBatch", d.url, "InternalError") }, 0, (*dlqreplay.Report).Whole},
		{"sends are throttled", func(d *depot) {
			d.once("SendMessageBatch", d.workURL, 100, localaws.Fault{Status: 403, Code: "RequestThrottled"})
		}, 0, (*dlqreplay.Report).Whole},
		{
			"sends break before they are performed", func(d *depot) { d.once("SendMessageBatch", d.workURL, 30, localaws.Fault{Status: 503}) }, 300,
			(*dlqreplay.Report).Whole,
		},
		{
			"answers of accepted sends are lost", func(d *depot) { d.once("SendMessageBatch", d.workURL, 7, localaws.Fault{Lose: true}) }, 70,
			func(r *dlqreplay.Report) bool { return r.Whole() && r.Ambiguous == 70 },
		},
		{"answers of deletes are lost", func(d *depot) { d.once("DeleteMessageBatch", d.url, 30, localaws.Fault{Lose: true}) }, 0, (*dlqreplay.Report).Whole},
		{"everything at once", func(d *depot) {
			d.spoil("DeleteMessageBatch", d.url, "InternalError")
			d.once("SendMessageBatch", d.workURL, 3, localaws.Fault{Lose: true})
			d.once("SendMessageBatch", d.workURL, 40, localaws.Fault{Status: 403, Code: "RequestThrottled"})
			d.spoil("SendMessageBatch", d.workURL, "InternalError")
		}, 30, func(r *dlqreplay.Report) bool { return r.Whole() && r.Ambiguous <= 30 }},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDepot(t, "work")
				d.sendPlain(n)
				o := d.begin()
				row.spoil(d)
				r := d.run(o)
				if !row.want(r) {
					t.Errorf("%+v", r)
				}
				d.conserved(n, row.ambiguous)
			})
		})
	}
}

// What cannot pass by itself stops the run: what is not sent is given back, and the report says why.
func TestWhatCannotPassStopsTheRun(t *testing.T) {
	for _, row := range []struct {
		name, why string
		spoil     func(d *depot, o *dlqreplay.Options)
		want      func(r *dlqreplay.Report) bool
	}{
		{"sends are denied", "access denied", func(d *depot, _ *dlqreplay.Options) {
			d.once("SendMessageBatch", d.workURL, 1e6, localaws.Fault{Status: 403, Code: "AccessDenied"})
		}, func(r *dlqreplay.Report) bool { return r.Replayed == 0 && r.Left == 100 && r.Released == 100 }},
		{"the destination is gone", "does not exist", func(d *depot, _ *dlqreplay.Options) {
			d.once("SendMessageBatch", d.workURL, 1e6, localaws.Fault{Code: "AWS.SimpleQueueService.NonExistentQueue", Message: "The specified queue does not exist."})
		}, func(r *dlqreplay.Report) bool { return r.Replayed == 0 && r.Left == 100 && r.Released == 100 }},
		{"deletes are denied", "access denied", func(d *depot, o *dlqreplay.Options) {
			o.Pace.Loops = 1
			d.once("DeleteMessageBatch", d.url, 1e6, localaws.Fault{Status: 403, Code: "AccessDenied"})
		}, func(r *dlqreplay.Report) bool {
			return r.Replayed > 0 && r.Undeleted == r.Replayed && r.Released == 100-r.Undeleted
		}},
		{"the network is down", "no answer", func(d *depot, _ *dlqreplay.Options) {
			d.once("SendMessageBatch", d.workURL, 1e6, localaws.Fault{Status: 503})
		}, func(r *dlqreplay.Report) bool { return r.Replayed == 0 && r.Left == 100 }},
		{"the disk is full before a send", "no space left", func(_ *depot, o *dlqreplay.Options) {
			o.Journal = &full{Log: o.Journal, sends: 3, answers: 1000}
		}, func(r *dlqreplay.Report) bool {
			return r.Replayed == 30 && r.Undeleted == 0 && r.Left == 70 && r.Released == 70
		}},
		{"the disk is full after a send", "no space left", func(_ *depot, o *dlqreplay.Options) {
			o.Journal = &full{Log: o.Journal, sends: 1000, answers: 3}
			o.Pace.Loops = 1
		}, func(r *dlqreplay.Report) bool {
			return r.Replayed == 40 && r.Undeleted == 0 && r.Left == 60 && r.Released == 60
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDepot(t, "work")
				d.sendPlain(100)
				o := d.begin()
				row.spoil(d, &o)
				r, err := dlqreplay.Run(t.Context(), o)
				if err != nil && !errors.Is(err, syscall.ENOSPC) {
					t.Fatal(err)
				}
				if r.Outcome != dlqreplay.Failed || !strings.Contains(r.Why, row.why) || !row.want(r) {
					t.Errorf("%+v", r)
				}
				if len(d.told(dlqreplay.Stopping)) != 1 {
					t.Errorf("%d events say that the run stops, want 1", len(d.told(dlqreplay.Stopping)))
				}
			})
		})
	}
}

// full is a journal on a disk that is full after so many entries.
type full struct {
	dlqreplay.Log
	mu             sync.Mutex
	sends, answers int
}

func (f *full) take(n *int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if *n--; *n < 0 {
		return fmt.Errorf("write journal: %w", syscall.ENOSPC)
	}
	return nil
}

func (f *full) Sending(ids []string, to string) error {
	if err := f.take(&f.sends); err != nil {
		return err
	}
	return f.Log.Sending(ids, to)
}

func (f *full) Sent(from, to []string, refused []dlqreplay.Refusal) error {
	if err := f.take(&f.answers); err != nil {
		return err
	}
	return f.Log.Sent(from, to, refused)
}

// A hold that ends while the answer of a send is awaited: the letter is deleted when it is handed out again.
func TestAHoldThatEndsInTheMiddleOfABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(10)
		o := d.begin()
		o.Pace.Settle = 5 * time.Minute // somebody must see them again
		d.once("ChangeMessageVisibilityBatch", d.url, 1e6, localaws.Fault{Status: 503})
		d.once("SendMessageBatch", d.workURL, 1, localaws.Fault{Late: 3 * time.Minute})
		r := d.run(o)
		if r.Replayed != 10 {
			t.Errorf("%+v", r)
		}
		d.conserved(10, r.Ambiguous)
		d.holds(0, 0)
	})
}

func TestALetterThatIsNotHeldAnyMoreIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(10)
		o := d.begin()
		d.once("ChangeMessageVisibilityBatch", d.url, 1e6, localaws.Fault{Status: 503})
		<-time.After(holdFor + time.Minute)
		other := d.all(d.url) // somebody else has them now
		r := d.run(o)
		if len(other) != 10 || r.Gone != 10 || r.Replayed != 0 || len(d.all(d.workURL)) != 0 {
			t.Errorf("%d in other hands, %+v", len(other), r)
		}
	})
}

func TestAnInterruptFinishesWhatIsOnItsWayAndReleasesTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(1000)
		o := d.begin()
		o.Pace.Rate = 50
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		r := d.runIn(ctx, o)
		if r.Outcome != dlqreplay.Interrupted || r.Replayed < 150 || r.Replayed > 250 || r.Left != 1000-r.Replayed || r.Released != r.Left || r.Undeleted != 0 {
			t.Errorf("%+v", r)
		}
		d.holds(int64(r.Left), 0)
		d.conserved(1000, 0)
	})
}

func TestHurryEndsTheRunAtOnceAndSaysWhatStaysHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(100)
		o := d.begin()
		hurry := make(chan struct{})
		o.Hurry, o.Pace.Loops = hurry, 2
		d.once("SendMessageBatch", d.workURL, 1e6, localaws.Fault{Delay: 10 * time.Second})
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		time.AfterFunc(4*time.Second, func() { close(hurry) })
		r := d.runIn(ctx, o)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %s", took)
		}
		if r.Outcome != dlqreplay.Interrupted || r.Hidden != 100 || r.HiddenUntil.Before(time.Now()) || r.HiddenUntil.After(time.Now().Add(holdFor)) {
			t.Errorf("%+v", r)
		}
		<-time.After(holdFor + time.Minute)
		d.conserved(100, 20) // two batches were on their way
	})
}

// picky is a Taker with an opinion of its own on each message.
type picky struct {
	dlqreplay.Taker
	refuses func(body string) error
	whole   bool // one refusal is the whole batch's
}

func (p picky) Take(ctx context.Context, ls []*dlqreplay.Letter, ms []queue.Message) (made []string, errs []error) {
	made, errs = make([]string, len(ms)), make([]error, len(ms))
	for i := range ms {
		errs[i] = p.refuses(ms[i].Body)
		if errs[i] != nil && p.whole {
			return made, queue.Each(errs[i], len(ms))
		}
	}
	for i := range ms {
		if errs[i] == nil {
			ids, err := p.Taker.Take(ctx, ls[i:i+1], ms[i:i+1])
			made[i], errs[i] = ids[0], queue.At(err, 0)
		}
	}
	return made, errs
}

func TestOneMessageAtFaultDoesNotKeepTheOthers(t *testing.T) {
	for _, row := range []struct {
		name  string
		err   error
		whole bool
	}{
		{"it fails for ever, for what should pass", errors.New("InternalError"), false},
		{"it is refused", queue.ErrRejected, false},
		{"its whole batch is refused", queue.ErrRejected, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDepot(t, "work")
				d.sendPlain(100)
				o := d.begin()
				o.Pace.Rate = 50
				d.to.Taker = picky{d.to.Taker, func(body string) error {
					if body == `{"n":42}` {
						return row.err
					}
					return nil
				}, row.whole}
				r := d.run(o)
				if r.Outcome != dlqreplay.Completed || r.Replayed != 99 || r.Failed != 1 || r.Ambiguous != 0 || r.Took > time.Minute {
					t.Errorf("%+v", r)
				}
				d.conserved(100, 0)
			})
		})
	}
}

func TestEachLetterGoesToItsOwnDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(100)
		other := newDepot(t, "other")
		o := d.begin()
		o.Judge.To = func(l *dlqreplay.Letter) (*dlqreplay.Destination, error) {
			switch l.MessageID[0] % 4 {
			case 0:
				return nil, errors.New("nobody knows where it belongs")
			case 1:
				return other.to, nil
			}
			return d.to, nil
		}
		r := d.run(o)
		here, there := len(d.all(d.workURL)), len(other.all(other.workURL))
		if here != r.To["work"] || there != r.To["other"] || here+there+r.Failed != 100 || here == 0 || there == 0 || r.Failed == 0 {
			t.Errorf("%d here, %d there: %+v", here, there, r)
		}
		d.holds(int64(r.Failed), 0)
	})
}

// A watch that is refused says so; what is sent is sent all the same.
func TestAWatchThatIsRefusedIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(30)
		o := d.begin()
		o.Pace = careful()
		d.once("ReceiveMessage", d.url, 1e6, localaws.Fault{Status: 403, Code: "AccessDenied"})
		r := d.run(o)
		if told := d.told(dlqreplay.Unobserved); !r.Whole() || len(told) != 1 || !strings.Contains(told[0].Why, "access denied") {
			t.Errorf("%v, %+v", told, r)
		}
	})
}
