package localaws

import (
	"container/heap"
	"container/list"
)

// line says in which order the visible messages of a queue are handed out. None of its methods
// looks at more messages than it yields, however many there are.
type line interface {
	// moved is called after a message has changed its place.
	moved(m *message, from place)
	// ready says whether a receive can be given anything.
	ready() bool
	// all yields the messages in the order in which they are handed out, as long as they are: each
	// must have been moved before it goes on.
	all(yield func(*message) bool)
}

// lane holds the messages of a queue that have one group id.
type lane struct {
	id       string
	messages list.List // of *message: on a FIFO queue all of them, on a standard queue the visible ones
	members  int       // how many there are, wherever they are
	inFlight int

	spot  *list.Element // among the ready lanes of a FIFO queue; nil: blocked
	at    int           // in the heap of a standard queue; -1: nothing visible
	noisy bool
}

// lanes are the lanes of a queue, by group id.
type lanes map[string]*lane

// follow keeps account of a message that has moved, and returns its lane.
func (l lanes) follow(m *message, from place) *lane {
	if from == nowhere {
		if l[m.groupID] == nil {
			l[m.groupID] = &lane{id: m.groupID, at: -1}
		}
		m.lane = l[m.groupID]
		m.lane.members++
	}
	at := m.lane
	if from == inFlight {
		at.inFlight--
	}
	if m.place == inFlight {
		at.inFlight++
	}
	if m.place == nowhere {
		if at.members--; at.members == 0 {
			delete(l, m.groupID)
		}
	}
	return at
}

// fifoLine is the order of a FIFO queue: by sequence within a group, and a group whose first message
// is hidden gives nothing, since what it has in flight always comes first. Groups take turns.
type fifoLine struct {
	lanes lanes
	open  list.List // of the *lane that give something
}

func (f *fifoLine) ready() bool { return f.open.Len() > 0 }

func (f *fifoLine) moved(m *message, from place) {
	l := f.lanes.follow(m, from)
	if from == nowhere {
		m.spot = l.messages.PushBack(m)
	}
	if m.place == nowhere {
		l.messages.Remove(m.spot)
	}
	first := l.messages.Front()
	switch open := first != nil && first.Value.(*message).place == visible; {
	case open && l.spot == nil:
		l.spot = f.open.PushBack(l)
	case !open && l.spot != nil:
		f.open.Remove(l.spot)
		l.spot = nil
	}
}

// all yields as many as it can of one group before it goes on to the next.
func (f *fifoLine) all(yield func(*message) bool) {
	for f.ready() {
		e := f.open.Front().Value.(*lane).messages.Front()
		for e != nil && e.Value.(*message).place == visible {
			after := e.Next()
			if !yield(e.Value.(*message)) {
				return
			}
			e = after
		}
	}
}

// A group of a standard queue is noisy when it has at least noisyInFlight messages in flight and
// more than one in noisyShare of all that are. Source: "Amazon SQS fair queues", Developer Guide.
const (
	noisyInFlight = 30
	noisyShare    = 10
)

// fairLine is the order of a standard queue: first come, first served, but what belongs to noisy
// groups waits for all others. Messages without a group are never noisy. A group is quiet again
// when nothing of it waits or it has few messages in flight; AWS, which also looks at how long
// consumers take, is slower to forgive.
type fairLine struct {
	lanes    lanes
	waiting  laneHeap // those with visible messages
	inFlight int
	// The turns given so far: to who goes to the end, and to who goes to the front.
	last, first int64
	overtakes   func() bool // says whether the next one goes to the front
}

func (f *fairLine) ready() bool { return len(f.waiting) > 0 }

func (f *fairLine) moved(m *message, from place) {
	l := f.lanes.follow(m, from)
	if from == visible {
		l.messages.Remove(m.spot)
	}
	if from == inFlight {
		f.inFlight--
	}
	if m.place == visible {
		if f.overtakes() {
			f.first--
			m.turn, m.spot = f.first, l.messages.PushFront(m)
		} else {
			f.last++
			m.turn, m.spot = f.last, l.messages.PushBack(m)
		}
	}
	if m.place == inFlight {
		f.inFlight++
	}
	f.place(l)
}

// place puts a lane where it belongs among those that wait.
func (f *fairLine) place(l *lane) {
	l.noisy = f.loud(l)
	switch {
	case l.messages.Len() == 0 && l.at >= 0:
		heap.Remove(&f.waiting, l.at)
	case l.messages.Len() == 0:
	case l.at < 0:
		heap.Push(&f.waiting, l)
	default:
		heap.Fix(&f.waiting, l.at)
	}
}

func (f *fairLine) loud(l *lane) bool {
	return l.id != "" && l.inFlight >= noisyInFlight && l.inFlight*noisyShare > f.inFlight
}

func (f *fairLine) all(yield func(*message) bool) {
	for f.ready() {
		// A group can become noisy when others have less in flight. At most nine are at any time.
		for first := f.waiting[0]; !first.noisy && f.loud(first); first = f.waiting[0] {
			f.place(first)
		}
		if !yield(f.waiting[0].first()) {
			return
		}
	}
}

func (l *lane) first() *message { return l.messages.Front().Value.(*message) }

// laneHeap orders lanes: quiet ones first, then by who waits longest.
type laneHeap []*lane

// Len, Less, Swap, Push and Pop are for package heap.
func (h laneHeap) Len() int { return len(h) }

func (h laneHeap) Less(i, j int) bool {
	if h[i].noisy != h[j].noisy {
		return h[j].noisy
	}
	return h[i].first().turn < h[j].first().turn
}

func (h laneHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func (h *laneHeap) Push(x any) {
	l := x.(*lane)
	l.at = len(*h)
	*h = append(*h, l)
}

func (h *laneHeap) Pop() any {
	last := len(*h) - 1
	l := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	l.at = -1
	return l
}
