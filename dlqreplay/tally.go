package dlqreplay

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

const (
	// rateWindow is what the rate of the last seconds is measured over.
	rateWindow = 5 * time.Second
	// maxReturns and maxFailures bound what a report names; all are counted.
	maxReturns, maxFailures = 20, 20

	otherReasons = "other reasons; the journal tells them"
)

// Phases of a run, as events name them.
const (
	phaseCanary = "canary"
	phaseReplay = "replay"
)

// tally counts what becomes of everything that was chosen, and tells of it.
type tally struct {
	events *teller

	mu       sync.Mutex
	report   Report
	phase    string
	total    int // of the phase
	failures map[string]*Failures
	samples  []sample // of the last seconds
	flying   int      // on their way
}

// sample is how many had been replayed at a time.
type sample struct {
	at time.Time
	n  int
}

func newTally(o *Options) *tally {
	events := o.Held.keeper.events
	if events == nil {
		events = tell(o.Event)
	}
	events.to(o.Event)
	return &tally{
		events: events, failures: map[string]*Failures{}, phase: phaseReplay,
		report: Report{ReplayID: o.ReplayID, Journal: o.Journal.Path(), To: map[string]int{}},
	}
}

// count changes the counters.
func (t *tally) count(change func(r *Report)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.report)
}

// so returns the counters as they are now.
func (t *tally) so() Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.report
}

// left is how many were neither sent nor refused, and are there.
func (t *tally) left() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &t.report
	return r.Selected - r.Replayed - r.Failed - r.Gone
}

// enter begins a phase that ends when so many are replayed.
func (t *tally) enter(phase string, total int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.phase, t.total = phase, total
}

// fly counts parcels that set out; land those that have arrived or are left.
func (t *tally) fly(ps []*parcel) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range ps {
		p.flying = true
		t.flying++
		t.suspect(p)
	}
}

func (t *tally) land(ps []*parcel) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.landed(ps)
}

// landed is land for who holds t.mu.
func (t *tally) landed(ps []*parcel) {
	for _, p := range ps {
		if p.flying {
			p.flying = false
			t.flying--
			if !p.doubtful {
				t.settled(p)
			}
		}
	}
}

// doubt counts a parcel that may have been accepted, until it is known to have been.
func (t *tally) doubt(p *parcel) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.doubtful = true
	t.suspect(p)
}

// suspect and settled keep account of what may have been accepted. t.mu is held.
func (t *tally) suspect(p *parcel) {
	if !p.unsure {
		p.unsure = true
		t.report.Unsure++
	}
}

func (t *tally) settled(p *parcel) {
	if p.unsure {
		p.unsure = false
		t.report.Unsure--
	}
}

// sent counts parcels that their destination has accepted.
func (t *tally) sent(ps []*parcel) {
	if len(ps) == 0 {
		return
	}
	t.mu.Lock()
	t.landed(ps)
	r, now := &t.report, time.Now()
	for _, p := range ps {
		r.Replayed++
		t.settled(p)
		r.To[p.to.Name]++
		if p.again {
			r.Ambiguous++
		}
		if !p.marked {
			r.Unwatched++
		}
	}
	if n := len(t.samples); n == 0 || now.Sub(t.samples[n-1].at) >= rateWindow/50 {
		t.samples = append(t.samples, sample{now, r.Replayed})
	}
	for len(t.samples) > 1 && now.Sub(t.samples[0].at) > rateWindow {
		t.samples = t.samples[1:]
	}
	e := Event{Kind: Replaying, Done: r.Replayed, Total: t.total, Phase: t.phase, Rate: t.rate(now), Returned: r.Returned}
	if t.phase == phaseCanary {
		e.Kind = Canary
	}
	t.mu.Unlock()
	if e.Done >= e.Total {
		t.events.tell(e)
	} else {
		t.events.tellOften(e)
	}
}

// rate is how many a second were sent in the last seconds. t.mu is held.
func (t *tally) rate(now time.Time) float64 {
	first := t.samples[0]
	took := now.Sub(first.at).Seconds()
	if took <= 0 {
		return 0
	}
	return float64(t.report.Replayed-first.n) / took
}

// refused counts a letter that its destination refused.
func (t *tally) refused(id, why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Failed++
	if t.failures[why] == nil && len(t.failures) >= maxFailures {
		why = otherReasons
	}
	f := t.failures[why]
	if f == nil {
		f = &Failures{Why: why, Example: id}
		t.failures[why] = f
	}
	f.Count++
}

// returned counts a message that died again, and tells of it. sent are those that may have returned by now,
// whether their destination has answered or not; left are those that are still to be sent.
func (t *tally) returned(back Return) (returned, sent, left int) {
	t.mu.Lock()
	r := &t.report
	r.Returned++
	if len(r.Returns) < maxReturns {
		r.Returns = append(r.Returns, back)
	}
	e := Event{Kind: Returned, Letter: &back, Phase: t.phase, Returned: r.Returned}
	returned, sent = r.Returned, r.Replayed+t.flying
	left = r.Selected - sent - r.Failed - r.Gone
	t.mu.Unlock()
	t.events.tell(e)
	return returned, sent, left
}

// end makes the report.
func (t *tally) end(change func(r *Report)) *Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.report
	for _, f := range t.failures {
		r.Failures = append(r.Failures, *f)
	}
	slices.SortFunc(r.Failures, func(a, b Failures) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Why, b.Why))
	})
	change(&r)
	r.Left = max(r.Selected-r.Replayed-r.Failed-r.Gone, 0)
	return &r
}
