package localaws

import (
	"container/heap"
	"container/list"
	"time"
)

// Where a message of a queue is. A message that was deleted, expired or moved to the dead-letter
// queue is in none.
type place uint8

const (
	visible  place = iota // may be received
	delayed               // was sent with a delay that still runs
	inFlight              // was received and is hidden
)

// message is a message in a queue.
type message struct {
	sqsMessage

	id, sender    string
	serial        uint64 // names the message in receipt handles
	sent          time.Time
	bodyMD5       string
	attributesMD5 string
	// receives counts over all queues that the message has been in; receipts only in this one.
	receives, receipts      int
	firstReceived, received time.Time
	source                  string // DeadLetterQueueSourceArn

	place place
	due   time.Time // when a delayed or hidden message becomes visible

	// The positions in the collections of a store.
	ready        *list.Element
	dueAt, ageAt int
}

// store holds the messages of a queue. No operation looks at all of them, however many there are.
type store struct {
	bySerial map[uint64]*message
	ready    list.List // of visible *message, next one first
	hidden   pile      // delayed and in flight, by due
	aging    pile      // all, by sent
	inFlight int
}

func newStore() *store {
	return &store{
		bySerial: map[uint64]*message{},
		hidden: pile{
			less: func(a, b *message) bool { return a.due.Before(b.due) },
			at:   func(m *message) *int { return &m.dueAt },
		},
		aging: pile{
			less: func(a, b *message) bool { return a.sent.Before(b.sent) },
			at:   func(m *message) *int { return &m.ageAt },
		},
	}
}

// visible, delayed: how many there are; the third count is the field inFlight.
func (s *store) visible() int { return s.ready.Len() }
func (s *store) delayed() int { return len(s.hidden.items) - s.inFlight }

// add takes a message in, visible or, with a due time after now, delayed.
func (s *store) add(m *message, due, now time.Time) {
	s.bySerial[m.serial] = m
	heap.Push(&s.aging, m)
	if due.After(now) {
		s.put(m, delayed, due)
		return
	}
	s.put(m, visible, now)
}

// remove takes a message out.
func (s *store) remove(m *message) {
	s.lift(m)
	heap.Remove(&s.aging, m.ageAt)
	delete(s.bySerial, m.serial)
}

// move brings a message to another place.
func (s *store) move(m *message, to place, due time.Time) {
	s.lift(m)
	s.put(m, to, due)
}

func (s *store) put(m *message, at place, due time.Time) {
	m.place, m.due = at, due
	switch at {
	case visible:
		m.ready = s.ready.PushBack(m)
	case inFlight:
		s.inFlight++
		heap.Push(&s.hidden, m)
	case delayed:
		heap.Push(&s.hidden, m)
	}
}

func (s *store) lift(m *message) {
	switch m.place {
	case visible:
		s.ready.Remove(m.ready)
		m.ready = nil
	case inFlight:
		s.inFlight--
		heap.Remove(&s.hidden, m.dueAt)
	case delayed:
		heap.Remove(&s.hidden, m.dueAt)
	}
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
