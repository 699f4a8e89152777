package dlqreplay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stationmaster/worker/queue"
)

// deleteFor is for how long a delete that fails for a passing reason is tried.
const deleteFor = time.Minute

// delete deletes letters from their queue and forgets them, with their current receipts; the end of ctx
// does not end it. What fails for a passing reason is tried again for a while. Answers are by index; one
// that wraps queue.ErrLeaseLost says that nobody knows whether the letter is deleted.
func (k *keeper) delete(ctx context.Context, ids []string) []error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteFor)
	defer cancel()
	errs := make([]error, len(ids))
	left := make([]int, len(ids))
	for i := range ids {
		left[i] = i
	}
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		var again []int
		for batch := range slices.Chunk(left, queue.MaxBatch) {
			again = append(again, k.deleteBatch(ctx, ids, batch, errs)...)
		}
		if left = again; len(left) == 0 || !idle(ctx, wait, nil) {
			if !slices.ContainsFunc(errs, func(err error) bool { return err != nil }) {
				return nil
			}
			return errs
		}
	}
}

// deleteBatch deletes ids[i] for each i of batch, and returns those that are to be tried again.
func (k *keeper) deleteBatch(ctx context.Context, ids []string, batch []int, errs []error) (again []int) {
	var (
		asked   []int
		handles []queue.ReceiptHandle
		late    = make(map[int]bool)
	)
	k.mu.Lock()
	now := time.Now()
	for _, i := range batch {
		h := k.holds[ids[i]]
		if h == nil {
			errs[i] = fmt.Errorf("delete %s: %w", ids[i], errNotHeld)
			continue
		}
		late[i] = k.expired(h, now)
		asked, handles = append(asked, i), append(handles, h.handle)
	}
	k.mu.Unlock()
	if len(asked) == 0 {
		return nil
	}
	call, cancel := context.WithTimeout(ctx, settleBound)
	answers := k.settler.Delete(call, handles)
	cancel()
	for at, i := range asked {
		err := queue.At(answers, at)
		errs[i] = err
		switch {
		case err == nil && late[i]:
			errs[i] = fmt.Errorf("delete %s after its hold had ended: %w", ids[i], queue.ErrLeaseLost)
		case err == nil:
			k.drop(ids[i])
		case errors.Is(err, queue.ErrLeaseLost):
			k.lose(ids[i], handles[at])
			if h, ok := k.receipt(ids[i]); ok && h != handles[at] { // received anew meanwhile
				again = append(again, i)
			}
		case !forGood(err):
			again = append(again, i)
		}
	}
	return again
}

// forGood reports that repeating a request cannot help.
func forGood(err error) bool {
	for _, class := range []error{queue.ErrNotFound, queue.ErrDenied, queue.ErrCredentials, queue.ErrRejected} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}
