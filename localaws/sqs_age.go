package localaws

import "container/heap"

// ages keeps messages by when they were sent. They nearly always come in that order, and then are only
// linked: a heap of a million messages would cost each delete twenty looks into cold memory. What comes
// late is what another queue had before: dead letters keep their age.
type ages struct {
	oldest, newest *message
	late           pile
}

// linked marks a message that is not in the heap.
const linked = -1

func newAges() ages {
	return ages{late: pile{
		less: func(a, b *message) bool { return a.sent.Before(b.sent) },
		at:   func(m *message) *int { return &m.ageAt },
	}}
}

func (a *ages) add(m *message) {
	if a.newest != nil && m.sent.Before(a.newest.sent) {
		heap.Push(&a.late, m)
		return
	}
	m.ageAt, m.older = linked, a.newest
	if a.newest == nil {
		a.oldest = m
	} else {
		a.newest.newer = m
	}
	a.newest = m
}

func (a *ages) remove(m *message) {
	if m.ageAt != linked {
		heap.Remove(&a.late, m.ageAt)
		return
	}
	if m.older == nil {
		a.oldest = m.newer
	} else {
		m.older.newer = m.newer
	}
	if m.newer == nil {
		a.newest = m.older
	} else {
		m.newer.older = m.older
	}
	m.older, m.newer = nil, nil
}

// first is the oldest message, or nil.
func (a *ages) first() *message {
	late := a.late.first()
	if late == nil || a.oldest != nil && a.oldest.sent.Before(late.sent) {
		return a.oldest
	}
	return late
}
