package dlqreplay

import (
	"sync"
	"time"

	"github.com/stationmaster/worker/queue"
)

// sentSet are the letters whose destinations have them. None of them may be sent again, or given back.
type sentSet struct {
	mu  sync.Mutex
	all ids
	// undeleted are still in the dead-letter queue, as far as anybody knows.
	undeleted map[string]bool
}

func (s *sentSet) add(ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.undeleted == nil {
		s.undeleted = map[string]bool{}
	}
	for _, id := range ids {
		s.all.add(id)
		s.undeleted[id] = true
	}
}

func (s *sentSet) has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, has := s.all.find(id)
	return has
}

// deleted says that letters are no longer in the dead-letter queue.
func (s *sentSet) deleted(ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.undeleted, id)
	}
}

// left returns the letters that were sent and not deleted.
func (s *sentSet) left() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := make([]string, 0, len(s.undeleted))
	for id := range s.undeleted {
		left = append(left, id)
	}
	return left
}

// lastAccepted is when destinations took something last.
type lastAccepted struct {
	mu sync.Mutex
	at map[string]time.Time
}

func (l *lastAccepted) now(d *Destination) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at == nil {
		l.at = map[string]time.Time{}
	}
	l.at[d.key()] = time.Now()
}

func (l *lastAccepted) since(d *Destination, t time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.at[d.key()].Before(t)
}

// deleter is one loop that deletes from the dead-letter queue what was accepted.
func (r *run) deleter(c contexts) {
	for ids := range r.deletes {
		r.delete(c, ids)
	}
}

// delete deletes letters whose destinations have them. What cannot be deleted stays for a resumed run; a
// letter whose hold ended is deleted when it is handed out again.
func (r *run) delete(c contexts, ids []string) {
	var gone []string
	errs := r.held.keeper.delete(c.work, ids)
	for i, id := range ids {
		err := queue.At(errs, i)
		if err == nil {
			gone = append(gone, id)
			continue
		}
		if forGood(err) {
			// Whatever is sent from now on would stay in both places.
			r.fail(err)
		}
		r.tally.events.tellOften(Event{Kind: Retrying, Err: err.Error()})
	}
	if len(gone) == 0 {
		return
	}
	r.sent.deleted(gone)
	if err := r.o.Journal.Deleted(gone); err != nil {
		r.fail(err)
	}
}
