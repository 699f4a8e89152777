package jobs

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// Claim is what a Seen says of a message.
type Claim int

const (
	// Free: the job has not finished it; it is claimed now, until Release.
	Free Claim = iota
	// Taken: another run of it is under way.
	Taken
	// Finished: the job finished it not long ago.
	Finished
)

// Seen remembers which messages a job has finished, by the job's name and the message's stable ID. Its
// methods are called from many goroutines. How long it remembers, and who shares it, is its own promise.
type Seen interface {
	// Claim asks for a message, and claims it when it is free.
	Claim(ctx context.Context, job, id string) (Claim, error)
	// Release ends a claim: done says that the job has finished the message.
	Release(ctx context.Context, job, id string, done bool) error
}

// Once is middleware that spares a job the duplicates that s knows of. SQS and SNS deliver at least once,
// and a producer that gets no answer sends again: with the same stable ID, that is a duplicate.
//
//   - A message that the job has finished is answered as done, without a run.
//   - A message whose other copy runs right now comes back later and spends no attempt; by then it is
//     finished, or it is tried in its turn.
//   - A message whose run failed, or was cut, is free again.
//   - An error of s is the answer for its message: a job that wants this guard does not run without it.
//
// It does not make anything happen exactly once. A process that ends between the work and Release, a
// store that forgets, and another store all lead to a second run, so a job must still be idempotent.
// A message that is sent again on purpose is swallowed like any other duplicate while s remembers it.
func Once(s Seen) Middleware {
	return func(next Call) Call {
		return func(ctx context.Context, ms []*Info) []error {
			return once(ctx, s, next, ms)
		}
	}
}

func once(ctx context.Context, s Seen, next Call, ms []*Info) []error {
	errs := make([]error, len(ms))
	claimed := make([]*Info, 0, len(ms))
	places := make([]int, 0, len(ms))
	finished := make([]bool, len(ms))
	// A run that was cut must release its claims, too, and one that panicked.
	after := context.WithoutCancel(ctx)
	defer func() {
		for i, m := range claimed {
			// What fails here costs a second run of a duplicate at most: the message itself is settled.
			_ = s.Release(after, m.Job, m.ID, finished[places[i]])
		}
	}()
	for i, m := range ms {
		switch claim, err := s.Claim(ctx, m.Job, m.ID); {
		case err != nil:
			errs[i] = fmt.Errorf("claim message %s: %w", m.ID, err)
		case claim == Free:
			claimed, places = append(claimed, m), append(places, i)
		case claim == Taken:
			errs[i] = retry.After(nil, retry.MinRest)
		case claim == Finished: // nothing to do
		}
	}
	if len(claimed) == 0 {
		return errs
	}
	got := next(ctx, claimed)
	for i, place := range places {
		errs[place] = queue.At(got, i)
		finished[place] = errs[place] == nil
	}
	return errs
}

// Memory is a Seen of this process. It remembers for a window, and no more than so many messages: the
// oldest are forgotten first. It ends with the process, and other processes know nothing of it.
type Memory struct {
	window time.Duration
	most   int

	mu       sync.Mutex
	taken    map[seenKey]struct{}
	finished map[seenKey]*list.Element
	byAge    list.List // of seenAt, oldest first
}

type seenKey struct{ job, id string }

type seenAt struct {
	key seenKey
	at  time.Time
}

// NewMemory makes a Memory that remembers most messages, at least 1, for a window. A message takes some
// 200 bytes.
func NewMemory(window time.Duration, most int) *Memory {
	return &Memory{window: window, most: max(most, 1), taken: map[seenKey]struct{}{}, finished: map[seenKey]*list.Element{}}
}

// Claim implements Seen. It never fails.
func (m *Memory) Claim(_ context.Context, job, id string) (Claim, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(time.Now())
	key := seenKey{job, id}
	if _, done := m.finished[key]; done {
		return Finished, nil
	}
	if _, running := m.taken[key]; running {
		return Taken, nil
	}
	m.taken[key] = struct{}{}
	return Free, nil
}

// Release implements Seen. It never fails.
func (m *Memory) Release(_ context.Context, job, id string, done bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := seenKey{job, id}
	delete(m.taken, key)
	if !done {
		return nil
	}
	if old, again := m.finished[key]; again {
		m.byAge.Remove(old)
	}
	now := time.Now()
	m.finished[key] = m.byAge.PushBack(seenAt{key, now})
	m.forget(now)
	return nil
}

// forget drops what is too old and what is too much.
func (m *Memory) forget(now time.Time) {
	for oldest := m.byAge.Front(); oldest != nil; oldest = m.byAge.Front() {
		seen := oldest.Value.(seenAt)
		if m.byAge.Len() <= m.most && now.Sub(seen.at) < m.window {
			return
		}
		m.byAge.Remove(oldest)
		delete(m.finished, seen.key)
	}
}
