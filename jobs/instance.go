package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Instance is a job that has been made and set up. Its methods may be called from many goroutines.
type Instance struct {
	name    string
	batch   int
	timeout time.Duration
	call    Call
	check   func(*Info) error
	log     *slog.Logger // nil: none was lent

	close  func() error
	closed sync.Once
}

// Name returns the job's name.
func (i *Instance) Name() string { return i.name }

// Batch returns the most messages that Run takes: 1, unless it is a batch job.
func (i *Instance) Batch() int { return i.batch }

// Timeout returns the bound of one attempt that the job asks for; 0 when it asks for none.
func (i *Instance) Timeout() time.Duration { return i.timeout }

// Run handles messages and answers by index; a nil slice means that all are done. It never panics:
// a panic is the failure of all its messages, as a PanicError. A body that cannot be decoded is a
// DecodeError, marked by retry.Never.
func (i *Instance) Run(ctx context.Context, ms []*Info) (errs []error) {
	defer func() {
		if v := recover(); v != nil {
			errs = make([]error, len(ms))
			err := Recovered(v)
			for n := range errs {
				errs[n] = err
			}
		}
	}()
	for _, m := range ms {
		m.Job = i.name
	}
	if i.log != nil {
		ctx = context.WithValue(ctx, logKey{}, i.log)
	}
	return i.call(ctx, ms)
}

// logKey finds the logger in the context of a run.
type logKey struct{}

// Log returns the logger that the worker lends to the job which runs with ctx, for jobs that are functions
// and for middleware; it names the job. Outside of a run it discards.
func Log(ctx context.Context) *slog.Logger {
	if log, ok := ctx.Value(logKey{}).(*slog.Logger); ok {
		return log
	}
	return discarding
}

var discarding = slog.New(slog.DiscardHandler)

// Check decodes a message and says what is wrong with it; the job is not run.
func (i *Instance) Check(m *Info) error { return guarded(i.check, m) }

// guarded makes an error of a decoder's panic.
func guarded(check func(*Info) error, m *Info) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = Recovered(v)
		}
	}()
	return check(m)
}

// Close ends the job. Only the first call does anything.
func (i *Instance) Close() (err error) {
	i.closed.Do(func() {
		if i.close == nil {
			return
		}
		defer func() {
			if v := recover(); v != nil {
				err = Recovered(v)
			}
			if err != nil {
				err = fmt.Errorf("job %s: close: %w", i.name, err)
			}
		}()
		err = i.close()
	})
	return err
}
