package localaws

import (
	"container/list"
	"time"
)

// maxInFlight is how many messages of one queue may be in flight. Source: ReceiveMessage, SQS API
// reference.
const maxInFlight = 120_000

// sqsAttribute is a message attribute. Binary types use Binary, all others String.
type sqsAttribute struct {
	Type   string
	String string
	Binary []byte
}

// sqsMessage is what a producer sends.
type sqsMessage struct {
	body        string
	attributes  map[string]sqsAttribute
	groupID     string // MessageGroupId
	dedupID     string // MessageDeduplicationId
	traceHeader string // AWSTraceHeader

	// envelope is what SNS brought in place of a body, to is the subscription that it is for.
	envelope *envelope
	to       string
}

// sqsQueue is one queue. Server.mu guards it.
type sqsQueue struct {
	arn, name, region, account string
	serial                     uint64            // names this incarnation of the queue in receipt handles
	attributes                 map[string]string // as SetQueueAttributes got them, defaults filled in
	settings                                     // the same, read
	tags                       map[string]string
	created, modified          time.Time
	purged                     time.Time

	*store
	sent     memory[accepted] // by dedupKey; of a FIFO queue, as the next
	attempts memory[[]given]  // by ReceiveRequestAttemptId
	tasks    []*moveTask      // out of this queue, the latest first
	waiting  list.List        // of chan struct{}, one for each long poll; who is woken leaves the list
	alarm    *time.Timer
	alarmAt  time.Time

	// What Nasty asks for.
	late      *late     // nil: no change is on its way
	purging   time.Time // what is sent until then may be purged
	counted   [held + 1]int
	countedAt time.Time
	gone      []gonePoll
}

// refresh brings a queue up to now.
func (q *sqsQueue) refresh(now time.Time) {
	if l := q.late; l != nil && !now.Before(l.acts) && !l.acted {
		delay := q.delay
		q.settings, l.acted = l.settings, true
		if q.delay != delay {
			q.redelay(now)
		}
	}
	q.tick(now, q.retention)
}

// next is a number that nothing else on this server has. s.mu is held.
func (s *Server) next() uint64 {
	s.serial++
	return s.serial
}

// room says whether a receive can be given anything.
func (q *sqsQueue) room() bool { return q.line.ready() && !q.full() }

// full says whether as many messages are in flight as may be.
func (q *sqsQueue) full() bool { return q.number[inFlight]+q.number[held] >= maxInFlight }

// stir wakes the longest waiting receive when there is something for it; when that one is done
// with the queue it stirs again. So one message wakes one receive, and no message lies there
// while receives wait. s.mu is held.
func (q *sqsQueue) stir() {
	if front := q.waiting.Front(); front != nil && q.room() {
		q.wake(front)
	}
}

func (q *sqsQueue) wake(e *list.Element) {
	q.waiting.Remove(e)
	e.Value.(chan struct{}) <- struct{}{} // has room for the one wake that it gets
}

// wakeAll sends every waiting receive to look again.
func (q *sqsQueue) wakeAll() {
	for q.waiting.Len() > 0 {
		q.wake(q.waiting.Front())
	}
}

// watch sees to it that waiting receives wake when the next hidden message is due. Without
// anybody waiting there is no timer: every request brings the queue up to date itself. s.mu is
// held.
func (s *Server) watch(q *sqsQueue) {
	next := q.hidden.first()
	if next == nil || q.waiting.Len() == 0 || (q.alarm != nil && q.alarmAt.Equal(next.due)) {
		return
	}
	if q.alarm != nil {
		q.alarm.Stop()
	}
	var alarm *time.Timer
	ring := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if q.alarm != alarm {
			return // another one was set while this one rang
		}
		q.alarm = nil
		s.settle(q)
	}
	q.alarmAt = next.due
	alarm = time.AfterFunc(time.Until(next.due), ring)
	q.alarm = alarm
}

// settle is called when something about a queue's messages has changed. s.mu is held.
func (s *Server) settle(q *sqsQueue) {
	now := time.Now()
	q.refresh(now)
	s.serveGone(q, now)
	q.stir()
	s.watch(q)
}
