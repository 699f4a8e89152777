package localaws

import (
	"container/heap"
	"container/list"
	"time"
)

// place is where a message of a queue is.
type place uint8

const (
	nowhere  place = iota // not in the queue: deleted, expired, or moved to another one
	visible               // may be received
	delayed               // was sent with a delay that still runs
	inFlight              // was received and is hidden
	held                  // was received by the request under way, and will be visible at its end
)

// message is a message in a queue.
type message struct {
	sqsMessage

	id, sender    string
	serial        uint64 // names the message in receipt handles
	sequence      uint64 // orders the messages of a FIFO queue
	sent          time.Time
	bodyMD5       string
	attributesMD5 string
	// receives counts over all queues that the message has been in; receipts only in this one.
	receives, receipts      int
	changes                 int // of its visibility by a client
	revived                 bool
	firstReceived, received time.Time
	source                  string // DeadLetterQueueSourceArn

	place place
	due   time.Time // when a delayed or hidden message becomes visible

	// The positions in the collections of a store.
	lane         *lane
	spot         *list.Element
	turn         int64
	dueAt, ageAt int
	older, newer *message
}

// store holds the messages of a queue. No operation looks at all of them, however many there are.
type store struct {
	bySerial map[uint64]*message
	line     line
	hidden   pile // delayed and in flight, by due
	aging    ages // all, by sent
	number   [held + 1]int
}

func (s *Server) newStore(fifo bool) *store { return newStore(fifo, s.nasty.overtakes) }

func newStore(fifo bool, overtakes func() bool) *store {
	s := &store{
		bySerial: map[uint64]*message{},
		line:     &fairLine{lanes: lanes{}, overtakes: overtakes},
		hidden: pile{
			less: func(a, b *message) bool { return a.due.Before(b.due) },
			at:   func(m *message) *int { return &m.dueAt },
		},
		aging: newAges(),
	}
	if fifo {
		s.line = &fifoLine{lanes: lanes{}}
	}
	return s
}

// add takes a message in, visible or, with a due time after now, delayed.
func (s *store) add(m *message, due, now time.Time) {
	s.bySerial[m.serial] = m
	s.aging.add(m)
	if due.After(now) {
		s.move(m, delayed, due)
		return
	}
	s.move(m, visible, now)
}

// remove takes a message out.
func (s *store) remove(m *message) {
	s.move(m, nowhere, time.Time{})
	s.aging.remove(m)
	delete(s.bySerial, m.serial)
}

// move brings a message to another place.
func (s *store) move(m *message, to place, due time.Time) {
	from := m.place
	if from == delayed || from == inFlight {
		heap.Remove(&s.hidden, m.dueAt)
	}
	m.place, m.due = to, due
	if to == delayed || to == inFlight {
		heap.Push(&s.hidden, m)
	}
	s.number[from]--
	s.number[to]++
	s.line.moved(m, from)
}

// tick brings the store up to now: what is due becomes visible, what is older than the retention
// period is gone, wherever it was.
func (s *store) tick(now time.Time, retention time.Duration) {
	for m := s.aging.first(); m != nil && now.Sub(m.sent) >= retention; m = s.aging.first() {
		s.remove(m)
	}
	for m := s.hidden.first(); m != nil && !m.due.After(now); m = s.hidden.first() {
		s.move(m, visible, now)
	}
}

// pile is a heap of messages that know their place in it.
type pile struct {
	items []*message
	less  func(a, b *message) bool
	at    func(*message) *int
}

func (p *pile) first() *message {
	if len(p.items) == 0 {
		return nil
	}
	return p.items[0]
}

// Len, Less, Swap, Push and Pop are for package heap.
func (p *pile) Len() int           { return len(p.items) }
func (p *pile) Less(i, j int) bool { return p.less(p.items[i], p.items[j]) }

func (p *pile) Swap(i, j int) {
	p.items[i], p.items[j] = p.items[j], p.items[i]
	*p.at(p.items[i]), *p.at(p.items[j]) = i, j
}

func (p *pile) Push(x any) {
	m := x.(*message)
	*p.at(m) = len(p.items)
	p.items = append(p.items, m)
}

func (p *pile) Pop() any {
	last := len(p.items) - 1
	m := p.items[last]
	p.items[last] = nil
	p.items = p.items[:last]
	return m
}
