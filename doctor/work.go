package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// work does the arithmetic of how the worker treats its queues, and then looks at what is left.
func (e *examiner) work(context.Context) {
	for _, name := range slices.Sorted(maps.Keys(e.o.Work)) {
		q := e.state.Queues[name]
		if q == nil {
			continue
		}
		w := e.o.Work[name]
		e.longest(q, w)
		if q.Known() {
			e.lease(q, w)
			e.receives(q, w)
			e.polls(q, w)
			e.byContent(q, w)
		}
	}
	e.killed()
	for _, name := range slices.Sorted(maps.Keys(e.state.Queues)) {
		if q := e.state.Queues[name]; q.Known() && e.ours(name) {
			e.queueDiffers(q)
		}
	}
}

// slack is what a message may wait in the worker before its job starts.
const slack = time.Minute

func (e *examiner) longest(q *topology.QueueState, w Work) {
	if w.Timeout+slack <= queue.MaxHeld {
		return
	}
	e.find(Finding{
		Code: "Q-05", Subject: "queue " + q.Name, Queues: []string{q.Name},
		Evidence: []string{"timeout " + human(w.Timeout) + " and the wait for a slot; SQS lets nobody hold a message for more than 12h"},
		Happens:  "it is handed out again while its job runs, each time, until it is a dead letter",
		Mend:     Mend{Text: "lower timeout below 12h, or let the job start what takes longer and end"},
	})
}

// leastLease is the shortest visibility timeout that beats can keep up.
const leastLease = 10 * time.Second

func (e *examiner) lease(q *topology.QueueState, w Work) {
	lease, sent := w.Visibility, "sent with each receive"
	if lease == 0 {
		lease, _ = seconds(q.Attributes, attrVisibility)
		sent = "the queue's own"
	}
	if lease >= leastLease || w.Timeout > 0 && !w.Unbounded && w.Timeout < lease {
		return
	}
	e.find(Finding{
		Code: "Q-04", Subject: "queue " + q.Name, Queues: []string{q.Name},
		Evidence: []string{attrVisibility + " " + human(lease) + ", " + sent + "; it is extended every " + human(lease/2), "timeout of the job: " + w.bound()},
		Happens:  "it is handled twice at the same time when one request to extend it is slow",
		Mend:     Mend{Text: "set visibility_timeout to 30s or more", AWS: []string{setQueue(q.URL, map[string]string{attrVisibility: "30"})}},
	})
	e.speakOf(q.Name, attrVisibility)
}

// bound says how long an attempt may take.
func (w Work) bound() string {
	switch {
	case w.Timeout == 0:
		return "none"
	case w.Unbounded:
		return human(w.Timeout) + ", and none of another job"
	}
	return human(w.Timeout)
}

// room is what must be left between the worker's attempts and SQS's count: crashes, deploys and lost
// answers count as receives.
const room = 3

func (e *examiner) receives(q *topology.QueueState, w Work) {
	p := queue.ReadRedrive(q.Attributes[attrRedrive])
	if p.Target == "" {
		return
	}
	want, ours := e.managed(q.Name)
	mend := Mend{
		Apply: ours && want.DLQ != "" && want.MaxReceiveCount >= w.Attempts+room && want.MaxReceiveCount != p.Receives,
		Text:  "set it to " + strconv.Itoa(max(want.MaxReceiveCount, w.Attempts+room)) + " (max_receive_count)",
		AWS:   []string{setQueue(q.URL, map[string]string{attrRedrive: compact(map[string]any{"deadLetterTargetArn": p.Target, "maxReceiveCount": max(want.MaxReceiveCount, w.Attempts+room)})})},
	}
	if p.Receives < w.Attempts+room {
		e.find(Finding{
			Code: "Q-02", Subject: "queue " + q.Name, Queues: []string{q.Name},
			Evidence: []string{fmt.Sprintf("maxReceiveCount %d; the worker makes %d attempts, and crashes, deploys and lost answers count as well", p.Receives, w.Attempts)},
			Happens:  "it becomes a dead letter without a reason, though its job has not failed for good", Mend: mend,
		})
		e.speakOf(q.Name, attrRedrive)
	}
	kept, ok := seconds(q.Attributes, attrRetention)
	lease := w.Visibility
	if lease == 0 {
		lease, _ = seconds(q.Attributes, attrVisibility)
	}
	cycle := time.Duration(p.Receives) * lease
	switch {
	case !ok || cycle < kept && w.Retries < kept:
	case cycle >= kept:
		e.expires(q, fmt.Sprintf("maxReceiveCount %d × %s = %s; retention %s", p.Receives, human(lease), human(cycle), human(kept)))
	default:
		e.expires(q, fmt.Sprintf("%d attempts may take %s; retention %s", w.Attempts, human(w.Retries), human(kept)))
	}
}

func (e *examiner) expires(q *topology.QueueState, evidence string) {
	e.find(Finding{
		Code: "Q-03", Subject: "queue " + q.Name, Queues: []string{q.Name}, Evidence: []string{evidence},
		Happens: "when nobody can handle it, it is deleted before it becomes a dead letter",
		Mend:    Mend{Text: "lower max_receive_count, visibility_timeout or retry.max, or raise retention"},
	})
}

func (e *examiner) polls(q *topology.QueueState, w Work) {
	wait, _ := seconds(q.Attributes, attrWait)
	wait = max(wait, w.Wait)
	switch {
	case wait == 0:
		e.find(Finding{
			Code: "Q-14", Subject: "queue " + q.Name, Queues: []string{q.Name}, Evidence: []string{attrWait + " 0, and the worker asks without waiting"},
			Happens: "it is missed by some receives, each of which costs a request",
			Mend:    Mend{Text: "set wait_time = \"20s\"", AWS: []string{setQueue(q.URL, map[string]string{attrWait: "20"})}},
		})
	case e.o.HTTPTimeout > 0 && wait >= e.o.HTTPTimeout:
		e.find(Finding{
			Code: "Q-15", Subject: "queue " + q.Name, Queues: []string{q.Name},
			Evidence: []string{"a receive waits " + human(wait) + ", the HTTP client " + human(e.o.HTTPTimeout)},
			Happens:  "what is handed out as the client gives up stays hidden until its visibility timeout ends",
			Mend:     Mend{Text: "give the HTTP client more than wait_time and 10s, or no timeout"},
		})
	}
	const most = 120_000
	if w.Slots > most {
		e.find(Finding{
			Code: "Q-16", Subject: "queue " + q.Name, Queues: []string{q.Name}, Evidence: []string{fmt.Sprintf("slots %d, in flight may be %d", w.Slots, most)},
			Happens: "it stays in the queue: receives answer nothing, without an error", Mend: Mend{Text: "lower slots"},
		})
	}
}

// byContent looks for jobs that are told by attributes behind a deduplication that does not see them.
func (e *examiner) byContent(q *topology.QueueState, w Work) {
	if !w.ByAttribute || !isFIFO(q.Name) {
		return
	}
	var where []string
	if q.Attributes[attrByContent] == "true" {
		where = append(where, "queue "+q.Name)
	}
	for _, l := range e.lines {
		if l.queue == q && l.topic.Attributes[attrByContent] == "true" {
			where = append(where, "topic "+l.topic.Name)
		}
	}
	for _, one := range where {
		e.find(Finding{
			Code: "Q-20", Subject: one, Queues: []string{q.Name}, Evidence: []string{attrByContent + " true", "queue " + q.Name + " finds its jobs by an attribute"},
			Happens: "when another with the same body was sent in the last five minutes, it is taken and thrown away",
			Mend:    Mend{Text: "send deduplication ids and switch content_based_deduplication off, or tell the job in the body"},
		})
	}
}

// killed compares the drain with what the worker is given for it.
func (e *examiner) killed() {
	const flush = 3 * time.Second // what was decided is flushed after the drain
	if len(e.o.Work) == 0 || e.o.Brief {
		return
	}
	if e.o.Grace == 0 {
		e.unknown(Unknown{
			Codes: []string{"Q-34"}, Subjects: []string{"the worker"}, Reason: "nobody has said how long a worker has to drain before it is killed",
			Mend: "say terminationGracePeriodSeconds with --grace-period",
		})
		return
	}
	if e.o.Grace < e.o.Drain+flush {
		e.find(Finding{
			Code: "Q-34", Subject: "the worker",
			Evidence: []string{"drain_timeout " + human(e.o.Drain) + " and " + human(flush) + " to flush; it is killed after " + human(e.o.Grace)},
			Happens:  "it is handled again after each deploy, and that counts as a receive",
			Mend:     Mend{Text: "set terminationGracePeriodSeconds to " + strconv.Itoa(int((e.o.Drain+flush+2*time.Second)/time.Second)) + " or more, or lower drain_timeout"},
		})
	}
}

// queueDiffers looks at what is declared and that no other finding speaks of.
func (e *examiner) queueDiffers(q *topology.QueueState) {
	want := e.wanted[q.Name]
	f := Finding{Code: "Q-36", Subject: "queue " + q.Name, Queues: []string{q.Name}}
	var happens []string
	set := map[string]string{}
	differ := func(name, value string) {
		have := q.Attributes[name]
		if value == "" || have == value || sameJSON(have, value) || e.spoken[q.Name+"\n"+name] {
			return
		}
		f.Evidence, set[name] = append(f.Evidence, contrast(name, have, value)), value
		happens = append(happens, treated(name, have, value))
	}
	differ(attrVisibility, wholeSeconds(want.Visibility))
	differ(attrRetention, wholeSeconds(want.Retention))
	for _, name := range slices.Sorted(maps.Keys(want.Attributes)) {
		differ(name, want.Attributes[name])
	}
	if dlq := e.state.Queues[want.DLQ]; dlq != nil && !e.spoken[q.Name+"\n"+attrRedrive] {
		if p := queue.ReadRedrive(q.Attributes[attrRedrive]); p.Target != dlq.ARN || p.Receives != want.MaxReceiveCount {
			f.Evidence = append(f.Evidence, fmt.Sprintf("%s %d receives, then %s; declared %d, then %s", attrRedrive, p.Receives, awsarn.Name(p.Target), want.MaxReceiveCount, dlq.Name))
			set[attrRedrive] = compact(map[string]any{"deadLetterTargetArn": dlq.ARN, "maxReceiveCount": want.MaxReceiveCount})
			happens = append(happens, treated(attrRedrive, q.Attributes[attrRedrive], set[attrRedrive]))
		}
	}
	if len(set) > 0 {
		f.Happens = strings.Join(happens, "; ")
		f.Mend = Mend{Apply: true, Text: "set it as declared, or declare what it has", AWS: []string{setQueue(q.URL, set)}}
		e.find(f)
	}
}
