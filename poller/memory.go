package poller

import (
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"
)

// remembered bounds each memory: at 10,000 messages some 1 MiB.
const remembered = 10_000

// memory is what one process knows of messages that it no longer holds. It is lost with the
// process, so it can spare a second run, never promise one.
type memory struct {
	// done holds the ids of messages that were handled or dead-lettered, but perhaps not deleted.
	done *lru.Cache[string, struct{}]
	// some: done has ever held anything; asking it costs a lock that nearly every message can spare.
	some atomic.Bool
	// returns counts, by id, the receives that spent no attempt.
	returns *lru.Cache[string, int]
}

func newMemory() (*memory, error) {
	done, err := lru.New[string, struct{}](remembered)
	if err != nil {
		return nil, err
	}
	returns, err := lru.New[string, int](remembered)
	if err != nil {
		return nil, err
	}
	return &memory{done: done, returns: returns}, nil
}

// attempt is the number of this try: never fewer than 1, never more than SQS counted.
func (m *memory) attempt(id string, receives int) int {
	if receives <= 1 { // the common case costs no lock
		return 1
	}
	untouched, _ := m.returns.Get(id)
	return max(1, receives-untouched)
}

func (m *memory) returned(id string) {
	n, _ := m.returns.Get(id)
	m.returns.Add(id, n+1)
}

func (m *memory) isDone(id string) bool { return m.some.Load() && m.done.Contains(id) }

func (m *memory) addDone(id string) {
	m.done.Add(id, struct{}{})
	m.some.Store(true)
}

func (m *memory) settled(id string) { m.returns.Remove(id) }
