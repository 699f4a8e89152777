package dlqreplay

import (
	"sync"

	"github.com/stationmaster/worker/queue"
)

// memory is a shelf that keeps everything in memory.
type memory struct {
	mu       sync.Mutex
	messages map[string]queue.Message
}

func newShelf(string) shelf { return &memory{messages: map[string]queue.Message{}} }

func (s *memory) keep(id string, m queue.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages[id] = m
	return nil
}

func (s *memory) message(id string) (queue.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, found := s.messages[id]
	if !found {
		return queue.Message{}, errNotHeld
	}
	return m, nil
}

func (s *memory) close() error { return nil }
