package dlqreplay

import (
	"context"
	"time"
	"unsafe"

	"github.com/stationmaster/worker/queue"
)

// Keeper is a keeper for tests.
type Keeper struct{ k *keeper }

// KeeperOf is the one of a scan.
func KeeperOf(h *Held) Keeper { return Keeper{h.keeper} }

// Keep starts a keeper.
func Keep(ctx context.Context, s queue.Settler, hold time.Duration, fifo bool) Keeper {
	return Keeper{keep(ctx, s, hold, fifo, nil)}
}

// Stop ends the holding.
func (k Keeper) Stop() { k.k.stop() }

// Add takes a delivery.
func (k Keeper) Add(d *queue.Delivery) bool { return k.k.add(d) }

// Receipt is the current one of a letter.
func (k Keeper) Receipt(id string) (queue.ReceiptHandle, bool) { return k.k.receipt(id) }

// Hidden is how many are held, and until when.
func (k Keeper) Hidden() (int, time.Time) { return k.k.hidden() }

// Counts is how many are held and how many were.
func (k Keeper) Counts() (held, lost int) { return k.k.counts() }

// Delete deletes letters.
func (k Keeper) Delete(ctx context.Context, ids ...string) []error { return k.k.delete(ctx, ids) }

// Release gives letters back.
func (k Keeper) Release(ctx context.Context, hurry <-chan struct{}, ids ...string) Handback {
	return k.k.release(ctx, ids, hurry, nil)
}

// Over reports whether a hold has ended.
func Over(now, deadline time.Time) bool { return over(now, deadline) }

// Slept is t on a machine whose monotonic clock has stood still for so long: its wall clock is ahead.
func Slept(t time.Time, d time.Duration) time.Time {
	type layout struct {
		wall uint64
		ext  int64
		loc  *time.Location
	}
	const seconds = 30 // of wall: nanoseconds below, 33 bits of seconds above
	(*layout)(unsafe.Pointer(&t)).wall += uint64(int64(d/time.Second)) << seconds
	return t
}
