package dlqreplay

import (
	"context"
	"fmt"
	"time"

	"github.com/stationmaster/worker/queue"
)

// OpenImport reads an export and holds its dead letters, as Scan holds those of a queue. A file that was
// cut or changed is refused whole. Nothing that is done to them changes the file. spoolDir is as in
// ScanOptions.
func OpenImport(ctx context.Context, path, spoolDir string) (*Held, Header, error) {
	began := time.Now()
	held := newHeld(ctx, DLQ{Name: path, Queue: fileSource{}, Counts: noCounts}, spoolDir, &describing{}, tell(nil))
	h, n, err := verifyFile(path, func(f *fileLetter) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return held.addFromFile(f)
	})
	if err != nil {
		held.Release(ctx, nil)
		return nil, Header{}, fmt.Errorf("import: %w", err)
	}
	held.dlq.FIFO = h.FIFO
	held.finish(found{total: int64(n), complete: true, took: time.Since(began)})
	return held, h, nil
}

func (h *Held) addFromFile(f *fileLetter) error {
	m := f.message()
	l := f.letter(&m)
	h.keeper.add(&queue.Delivery{Message: m, MessageID: l.MessageID, Handle: queue.ReceiptHandle(l.MessageID)})
	if err := h.shelf.keep(l.MessageID, m); err != nil {
		return err
	}
	h.letters = append(h.letters, l)
	h.byID[l.MessageID] = l
	return nil
}

// fileSource is the queue of letters that are in a file: nothing comes from it, and nothing leaves it.
type fileSource struct{}

func (fileSource) Receive(ctx context.Context, _ int, wait time.Duration) ([]queue.Delivery, error) {
	idle(ctx, wait, nil)
	return nil, ctx.Err()
}

func (fileSource) Delete(context.Context, []queue.ReceiptHandle) []error { return nil }

func (fileSource) ChangeVisibility(context.Context, []queue.ReceiptHandle, []time.Duration) []error {
	return nil
}

func noCounts(context.Context) (Counts, error) { return Counts{}, nil }
