package main

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/queue"
)

// crowd is how many slots are held busy to see what one weighs.
const crowd = 10_000

// held is where the jobs of the crowd wait; nil lets them through.
var held atomic.Pointer[chan struct{}]

// crowding counts the jobs that wait there.
var crowding atomic.Int64

// memory weighs a busy slot: everything that the process holds for a delivery while its job runs.
func (b *bench) memory(ctx context.Context) error {
	gate := make(chan struct{})
	held.Store(&gate)
	defer held.Store(nil)
	crowding.Store(0)
	before := weight()
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- engineSide(plan{slots: crowd})(running, b.stub) }()
	for limit := time.Now().Add(20 * time.Second); crowding.Load() < crowd; {
		if time.Now().After(limit) {
			return fmt.Errorf("memory: %d of %d slots are busy after 20 s", crowding.Load(), crowd)
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	each := (weight() - before) / crowd
	held.Store(nil)
	close(gate)
	stop()
	if err := <-ended; err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	b.table.add(fmt.Sprintf("memory per busy slot, %d of them", crowd), "< 8 KiB", fmt.Sprintf("%.1f KiB", float64(each)/1024), each < 8<<10)
	return nil
}

// weight is what lives on the heap and on stacks.
func weight() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// fountain is a queue without a service behind it: its deliveries are made beforehand.
type fountain struct {
	ready chan []queue.Delivery
	left  atomic.Int64
	dry   chan struct{}
}

func (f *fountain) Receive(ctx context.Context, _ int, _ time.Duration) ([]queue.Delivery, error) {
	select {
	case ds := <-f.ready:
		now := time.Now()
		for i := range ds {
			ds[i].Received, ds[i].Deadline = now, now.Add(lease)
		}
		return ds, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *fountain) Delete(_ context.Context, handles []queue.ReceiptHandle) []error {
	if f.left.Add(-int64(len(handles))) == 0 {
		close(f.dry)
	}
	return nil
}

func (*fountain) ChangeVisibility(context.Context, []queue.ReceiptHandle, []time.Duration) []error {
	return nil
}

// allocations counts what the engine allocates for a message between the receive and the delete.
func (b *bench) allocations(ctx context.Context) error {
	const n = 50_000
	job, err := open(ctx)
	if err != nil {
		return err
	}
	total, err := allocated(ctx, job, n)
	if err != nil {
		return err
	}
	decoding := decoding(ctx, job)
	engine := total - decoding
	b.table.add("allocations per message in the engine", "≤ 12", fmt.Sprintf("%.1f, and %.1f to decode and call the job", engine, decoding), engine <= 12)
	return nil
}

// allocated runs n messages through the engine and returns the allocations of each.
func allocated(ctx context.Context, job *jobs.Instance, n int) (float64, error) {
	f := &fountain{ready: make(chan []queue.Delivery, n/mostAtOnce), dry: make(chan struct{})}
	f.left.Store(int64(n))
	for i := 0; i < n; i += mostAtOnce {
		f.ready <- deliveries(i)
	}
	p, err := newEngine(plan{slots: manySlots, receivers: loops}, f, f, job)
	if err != nil {
		return 0, err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan poller.Report, 1)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	go func() { ended <- p.Run(running, ctx) }()
	select {
	case <-f.dry:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	runtime.ReadMemStats(&after)
	stop()
	<-ended
	return float64(after.Mallocs-before.Mallocs) / float64(n), nil
}

func deliveries(from int) []queue.Delivery {
	ds := make([]queue.Delivery, mostAtOnce)
	for i := range ds {
		id := fmt.Sprintf("m%d", from+i)
		ds[i] = queue.Delivery{Message: queue.Message{Body: body}, MessageID: id, Handle: queue.ReceiptHandle(id), Receives: 1}
	}
	return ds
}

// decoding is what package jobs allocates to read a message and to call its job.
func decoding(ctx context.Context, job *jobs.Instance) float64 {
	const n = 10_000
	d := deliveries(0)[0]
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		job.Run(ctx, []*jobs.Info{jobs.Read(&d)})
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / n
}
