package dlqreplay

import (
	"strings"
	"sync"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/queue"
)

// describing is what it takes to say what a delivery of a dead-letter queue is. It is safe for concurrent
// use.
type describing struct {
	// undelivered: the queue is a subscription's.
	undelivered bool
	// jobOf names the job of a message that has no record; nil: nobody knows.
	jobOf func(*Letter, *queue.Message) string

	mu   sync.Mutex
	same map[string]string
}

// letter describes a delivery.
func (o *describing) letter(d *queue.Delivery) *Letter {
	record, found := deadletter.Read(&d.Message)
	if found {
		record = deadletter.Refresh(record)
	}
	l := &Letter{
		// What comes from an answer of SQS may be a part of it, and would keep all of it in memory.
		MessageID: strings.Clone(d.MessageID), GroupID: o.one(d.GroupID), SourceARN: o.one(d.SourceARN),
		Record: o.slim(record), Receives: d.Receives, Sent: d.Sent, FirstReceived: d.FirstReceived, Size: d.Size(),
	}
	o.kind(l)
	if l.Kind == Recorded {
		l.Job, l.Class, l.Reason, l.Fingerprint = l.Record.Job, l.Record.Class, l.Record.Reason, l.Record.Fingerprint
		if !l.Record.Sent.IsZero() {
			l.Sent = l.Record.Sent
		}
		if l.Job == "" { // nobody knew the message when it died; this build may
			l.Job = o.job(l, &d.Message)
		}
		return l
	}
	o.explain(l, &d.Message)
	return l
}

// kind says how a letter came into its queue. What SQS moved has a source, whatever its record tells: that
// is of an earlier death, or of none.
func (o *describing) kind(l *Letter) {
	switch {
	case l.SourceARN != "":
		l.Kind = Moved
	case l.Record.Failed():
		l.Kind = Recorded
	case o.undelivered:
		l.Kind = Undelivered
	default:
		l.Kind = Foreign
	}
}

// explain finds out what a message without a record tells. Who sent what, by the names of its keys, is
// all that is left to tell foreign messages apart.
func (o *describing) explain(l *Letter, m *queue.Message) {
	l.Job, l.Fingerprint = l.Record.Job, deadletter.Unexplained
	if l.Job == "" {
		l.Job = o.job(l, m)
	}
	if class, reason, ok := deadletter.Explain(m); ok {
		l.Class, l.Reason = o.one(class), o.one(reason)
		l.Fingerprint = o.one(deadletter.Fingerprint(l.Job, class, reason))
		return
	}
	if l.Job != "" {
		return
	}
	if shape := deadletter.Shape(m.Body); shape != "" {
		l.Reason = o.one(shape)
		l.Fingerprint = o.one(deadletter.Fingerprint("", "", shape))
	}
}

// job names the job of a message whose record does not.
func (o *describing) job(l *Letter, m *queue.Message) string {
	if o.jobOf == nil {
		return ""
	}
	return o.one(o.jobOf(l, m))
}

// mostSame bounds the strings that are kept once.
const mostSame = 10_000

// one returns one copy of a string that many letters have.
func (o *describing) one(s string) string {
	if s == "" {
		return ""
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if kept, ok := o.same[s]; ok {
		return kept
	}
	s = strings.Clone(s)
	if o.same == nil {
		o.same = map[string]string{}
	}
	if len(o.same) < mostSame {
		o.same[s] = s
	}
	return s
}

// slim is a record whose common strings are kept once.
func (o *describing) slim(r deadletter.Record) deadletter.Record {
	for _, s := range []*string{&r.Job, &r.Class, &r.Fingerprint, &r.Reason, &r.Origin, &r.Build, &r.Host} {
		*s = o.one(*s)
	}
	return r
}
