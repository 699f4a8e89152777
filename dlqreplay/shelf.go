package dlqreplay

import (
	"strings"
	"sync"

	"github.com/stationmaster/worker/queue"
)

// shelf finds the messages of a spool by their MessageIds.
type shelf struct {
	spool *spool

	mu   sync.Mutex
	refs map[string]ref
}

func newShelf(dir string) *shelf { return &shelf{spool: newSpool(dir), refs: map[string]ref{}} }

func (s *shelf) keep(id string, m queue.Message) error {
	r, err := s.spool.put(m)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refs[strings.Clone(id)] = r
	return nil
}

func (s *shelf) message(id string) (queue.Message, error) {
	s.mu.Lock()
	r, found := s.refs[id]
	s.mu.Unlock()
	if !found {
		return queue.Message{}, errNotHeld
	}
	return s.spool.get(r)
}

// drop forgets messages that are needed no more.
func (s *shelf) drop(ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if r, found := s.refs[id]; found {
			s.spool.drop(r)
			delete(s.refs, id)
		}
	}
}

func (s *shelf) close() error { return s.spool.close() }
