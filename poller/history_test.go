package poller_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// history is what happened to the messages of one random history, over several pollers in turn.
type history struct {
	mu    sync.Mutex
	calm  bool // every job ends well from now on
	plans map[string][]string
	group map[string]string
	order map[string][]string // by group, as sent
	runs  map[string]int
	// now are the runs under way, by poller and message: an abandoned one outlives its poller.
	now    map[string]int
	ended  map[string]bool // done, or its dead letter was accepted
	dead   map[string]bool // the latter
	faults []string
}

func newHistory() *history {
	return &history{
		plans: map[string][]string{}, group: map[string]string{}, order: map[string][]string{},
		runs: map[string]int{}, now: map[string]int{}, ended: map[string]bool{}, dead: map[string]bool{},
	}
}

func (h *history) faultf(format string, a ...any) {
	h.faults = append(h.faults, fmt.Sprintf(format, a...))
}

// begin takes in the start of a run, and returns what it shall do.
func (h *history) begin(of int, id string, fifo bool) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := fmt.Sprint(of, " ", id)
	if h.now[key]++; h.now[key] > 1 {
		h.faultf("two runs of %s at once in poller %d", id, of)
	}
	if fifo {
		for _, before := range h.order[h.group[id]] {
			if before == id {
				break
			}
			if !h.ended[before] {
				h.faultf("%s ran before %s had ended", id, before)
			}
		}
	}
	n := h.runs[id]
	h.runs[id]++
	if plan := h.plans[id]; !h.calm && n < len(plan) {
		return plan[n]
	}
	return "ok"
}

func (h *history) end(of int, id string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now[fmt.Sprint(of, " ", id)]--
	if err == nil {
		h.ended[id] = true
	}
}

// job plays what a message's plan says.
func (h *history) job(of int, fifo bool) job {
	return func(ctx context.Context, m *jobs.Message[string]) (err error) {
		what := h.begin(of, m.Body, fifo)
		defer func() {
			if v := recover(); v != nil {
				h.end(of, m.Body, errBoom)
				panic(v)
			}
			h.end(of, m.Body, err)
		}()
		switch what {
		case "slow":
			select {
			case <-time.After(50 * time.Second):
			case <-ctx.Done():
				return ctx.Err()
			}
		case "deaf":
			<-time.After(70 * time.Second)
		case "deaf and fails":
			<-time.After(40 * time.Second)
			return errBoom
		case "fails":
			return errBoom
		case "at once":
			return retry.After(errBoom, 0)
		case "later":
			return retry.After(nil, time.Second)
		case "pauses":
			return retry.Pause(errBoom, time.Now().Add(20*time.Second))
		case "never":
			return retry.Never(errBoom)
		case "panics":
			panic("as planned")
		}
		return nil
	}
}

// settled takes in what SQS accepted.
func (h *history) settled(_ context.Context, d *queue.Delivery, did poller.Settlement, err error) {
	var id string
	if json.Unmarshal([]byte(d.Body), &id) != nil || err != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case did == poller.DeadLettered:
		h.ended[id], h.dead[id] = true, true
	case did == poller.Deleted && !h.ended[id]:
		h.faultf("%s was deleted, and had neither ended nor died", id)
	}
}

var (
	outcomes = []string{"ok", "ok", "slow", "deaf", "deaf and fails", "fails", "at once", "later", "pauses", "never", "panics"}
	spoils   = map[string]*localaws.Fault{
		"none": nil, "down": &down, "denied": &denied, "lost": {Lose: true}, "slow": {Delay: 4 * time.Second},
		"throttled": {Status: 400, Code: "RequestThrottled"},
	}
	spoilNames = []string{"none", "none", "down", "denied", "lost", "slow", "throttled", "entries"}
)

// spoiled are the actions that fail now, and how.
type spoiled struct {
	mu sync.Mutex
	by map[string]string
}

func (f *spoiled) set(action, how string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.by[action] = how
}

func (f *spoiled) of(r *localaws.Request) *localaws.Fault {
	f.mu.Lock()
	how := f.by[r.Action]
	f.mu.Unlock()
	if r.Action == "SendMessageBatch" && !strings.Contains(r.Target, "mail-dlq") {
		return nil // the producer's own sends are not what is tried
	}
	if how != "entries" {
		return spoils[how]
	}
	fault := &localaws.Fault{Entries: map[string]string{}}
	for i, id := range r.Entries {
		if i%2 == 0 {
			fault.Entries[id] = "InternalError"
		}
	}
	return fault
}

// script is a random history before it happens: rapid draws outside, and time passes inside a bubble.
type script struct {
	fifo, breaker             bool
	slots, prefetch, attempts int
	nasty                     localaws.Nasty
	steps                     []step
}

type step struct {
	what, group, action, how string
	plans                    [][]string // of the messages that are sent
	d                        time.Duration
	resume                   bool
}

func drawScript(rt *rapid.T, fifo bool) script {
	sc := script{
		fifo: fifo, breaker: rapid.Bool().Draw(rt, "breaker"), slots: rapid.IntRange(1, 6).Draw(rt, "slots"),
		prefetch: rapid.SampledFrom([]int{0, 0, 2, poller.Auto}).Draw(rt, "prefetch"), attempts: rapid.IntRange(2, 4).Draw(rt, "attempts"),
	}
	if rapid.Bool().Draw(rt, "nasty") { // messages come out of order, and deleted ones come once more
		sc.nasty = localaws.Nasty{Seed: rapid.Uint64().Draw(rt, "seed"), ReviveShare: 0.1, OvertakeShare: 0.2, GiveToGone: true}
	}
	for range rapid.IntRange(3, 15).Draw(rt, "steps") {
		next := step{what: rapid.SampledFrom([]string{"send", "send", "pass", "pass", "spoil", "spoil", "pause", "restart"}).Draw(rt, "step")}
		switch next.what {
		case "send":
			if fifo {
				next.group = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "group")
			}
			next.plans = rapid.SliceOfN(rapid.SliceOfN(rapid.SampledFrom(outcomes), 0, 4), 1, 6).Draw(rt, "plans")
		case "spoil":
			next.action = rapid.SampledFrom(actions).Draw(rt, "action")
			next.how = rapid.SampledFrom(spoilNames).Draw(rt, "how")
		default:
			next.d = time.Duration(rapid.IntRange(0, 60_000).Draw(rt, "ms")) * time.Millisecond
			next.resume = rapid.Bool().Draw(rt, "resume")
		}
		sc.steps = append(sc.steps, next)
	}
	return sc
}

var actions = []string{receiveAction, deleteAction, changeAction, "SendMessageBatch"}

func TestNoHistoryLosesRepeatsOrReorders(t *testing.T) {
	for _, fifo := range []bool{false, true} {
		t.Run(fmt.Sprint("fifo ", fifo), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				sc := drawScript(rt, fifo)
				var faults []string
				synctest.Test(t, func(t *testing.T) { faults = sc.play(t) })
				for _, fault := range faults {
					rt.Error(fault)
				}
			})
		})
	}
}

// play lets the script happen, and returns what went wrong.
func (sc *script) play(t *testing.T) []string {
	s, h := newStationOn(t, sc.fifo, sc.nasty), newHistory()
	f := &spoiled{by: map[string]string{}}
	s.spoil("", f.of)
	pollers := 0
	begin := func() *rig {
		pollers++
		return start(t, h.job(pollers, sc.fifo), s.and(func(o *poller.Options) {
			o.Slots, o.Prefetch, o.Breaker, o.Retry.Attempts = sc.slots, sc.prefetch, sc.breaker, sc.attempts
			o.Timeout = time.Minute
			o.Suspects, o.SuspectAfter = poller.NewLane(), 5
			o.Hooks.Settled = h.settled
		}))
	}
	r := begin()
	for _, next := range sc.steps {
		switch next.what {
		case "send":
			s.sendGroup(next.group, h.plan(next)...)
		case "pass":
			pass(next.d)
		case "spoil":
			f.set(next.action, next.how)
		case "pause":
			r.p.Pause(time.Now().Add(next.d))
			if next.resume {
				r.p.Resume()
			}
		case "restart":
			r.stop()
			pass(next.d / 2)
			r.kill(poller.ErrDrain)
			<-r.done
			r = begin()
		}
	}
	for _, action := range actions {
		f.set(action, "none")
	}
	h.mu.Lock()
	h.calm = true
	h.mu.Unlock()
	r.p.Resume()
	pass(10 * time.Minute)
	r.drain()
	return h.check(s)
}

// plan takes in what is about to be sent, and returns the bodies.
func (h *history) plan(next step) (bodies []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, plan := range next.plans {
		id := fmt.Sprintf("%s%d", next.group, len(h.plans))
		bodies = append(bodies, fmt.Sprintf("%q", id))
		h.plans[id], h.group[id] = plan, next.group
		h.order[next.group] = append(h.order[next.group], id)
	}
	return bodies
}

// check is what must hold in the end.
func (h *history) check(s *station) []string {
	visible, inFlight := s.counts()
	h.mu.Lock()
	defer h.mu.Unlock()
	if visible+inFlight > 0 {
		h.faultf("%d visible and %d in flight after ten minutes in which everything works", visible, inFlight)
	}
	buried := s.buried()
	for id := range h.dead {
		if !buried[id] {
			h.faultf("%s is not in the dead-letter queue", id)
		}
	}
	for id := range h.plans {
		if !h.ended[id] {
			h.faultf("%s was lost after %d runs", id, h.runs[id])
		}
	}
	return h.faults
}

// buried empties the dead-letter queue and returns what was in it.
func (s *station) buried() map[string]bool {
	found := map[string]bool{}
	for ds := s.dead(); len(ds) > 0; ds = s.dead() {
		handles := make([]queue.ReceiptHandle, len(ds))
		for i, d := range ds {
			var id string
			if err := json.Unmarshal([]byte(d.Body), &id); err != nil {
				s.t.Fatal(err)
			}
			found[id], handles[i] = true, d.Handle
		}
		if errs := s.dlq.Delete(s.t.Context(), handles); errs != nil {
			s.t.Fatal(errs)
		}
	}
	return found
}
