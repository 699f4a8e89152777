package poller

import (
	"sync"

	"github.com/stationmaster/worker/queue"
)

// lanes are the message groups of a FIFO queue that are worked on: each is one goroutine and one
// slot, and has its messages in the order in which they came.
type lanes struct {
	mu      sync.Mutex
	waiting map[string][]*item // by group, of the lanes that exist
	// most is what the next receive may ask for: less after a failure, since what follows a failed
	// message only goes back.
	most int
}

func (l *lanes) ask() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.most == 0 {
		l.most = queue.MaxBatch
	}
	return l.most
}

func (l *lanes) failed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most = 1
}

func (l *lanes) succeeded() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most = min(max(l.most, 1)*2, queue.MaxBatch)
}

// added says what became of items that were put on a lane.
type added int

const (
	behind  added = iota // what the lane has
	started              // the lane is new and must be started
	refused              // what came before them is on its way back
)

// add puts items on the lane of their group. before are items that came before them and are held
// already: while one of them goes back, nothing may overtake it.
func (l *lanes) add(group string, before, items []*item) added {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, it := range before {
		if it.leaving {
			return refused
		}
	}
	if l.waiting == nil {
		l.waiting = map[string][]*item{}
	}
	already, exists := l.waiting[group]
	l.waiting[group] = append(already, items...)
	if exists {
		return behind
	}
	return started
}

// next takes the first item off a lane; nil ends the lane.
func (l *lanes) next(group string) *item {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.waiting[group]
	if len(all) == 0 {
		delete(l.waiting, group)
		return nil
	}
	l.waiting[group] = all[1:]
	return all[0]
}

// mate takes the first item off a lane that goes on, if it fits; nil when none does.
func (l *lanes) mate(group string, fits func(*item) bool) *item {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.waiting[group]
	if len(all) == 0 || !fits(all[0]) {
		return nil
	}
	l.waiting[group] = all[1:]
	return all[0]
}

// goesOn reports whether a group has messages that wait for their turn here.
func (l *lanes) goesOn(group string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting[group]) > 0
}

// end takes all that a lane still has, and ends it: that, and what ran and goes back, is on its way.
func (l *lanes) end(group string, ran []*item) (mates []*item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	mates = l.waiting[group]
	delete(l.waiting, group)
	for _, it := range ran {
		it.leaving = it.back
	}
	for _, it := range mates {
		it.leaving = true
	}
	return mates
}

// leave says that items which are on no lane go back.
func (l *lanes) leave(items []*item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, it := range items {
		it.leaving = true
	}
}
