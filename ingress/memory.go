package ingress

import (
	"context"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/stationmaster/worker/queue"
)

// remembered bounds what a path knows of past messages: at 20,000 some 4 MiB.
const remembered = 20_000

// memory is what one process knows of the messages of one path. It is lost with the process, and other
// processes have their own: it spares runs, and promises nothing.
type memory struct {
	mu      sync.Mutex
	done    *lru.Cache[string, struct{}]
	tries   *lru.Cache[string, int]
	running map[string]*run
}

// run is one message that is being handled, and everybody who waits for its end.
type run struct {
	id      string
	attempt int
	dead    queue.Sender // its subscription's dead-letter queue
	cancel  context.CancelCauseFunc
	over    chan struct{}
	answer  answer // once over is closed
}

func newMemory() (*memory, error) {
	m := &memory{running: map[string]*run{}}
	var err error
	if m.done, err = lru.New[string, struct{}](remembered); err != nil {
		return nil, err
	}
	m.tries, err = lru.New[string, int](remembered)
	return m, err
}

// admit looks at a message: it was done; or it runs already; or it is to be run now, by the caller, who
// must end it.
func (m *memory) admit(id string) (r *run, mine, isDone bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.done.Contains(id) {
		return nil, false, true
	}
	if r := m.running[id]; r != nil {
		return r, false, false
	}
	r = &run{id: id, over: make(chan struct{})}
	m.running[id] = r
	return r, true, false
}

// count numbers this try of a message.
func (m *memory) count(r *run) {
	n, _ := m.tries.Get(r.id)
	r.attempt = n + 1
	m.tries.Add(r.id, r.attempt)
}

// end answers everybody who waits for a run, and remembers it if it need not be run again.
func (m *memory) end(r *run, a answer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.running, r.id)
	if a.status < 300 {
		m.done.Add(r.id, struct{}{})
		m.tries.Remove(r.id)
	}
	r.answer = a
	close(r.over)
}
