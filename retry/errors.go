package retry

import (
	"errors"
	"time"
)

// NeverError marks an error that no further attempt can mend.
type NeverError struct{ Err error }

func (e *NeverError) Error() string { return e.Err.Error() }

// Unwrap returns the error that was marked.
func (e *NeverError) Unwrap() error { return e.Err }

// Never marks err as permanent: the message is dead-lettered now, with its reason. Never(nil) is nil.
func Never(err error) error {
	if err == nil {
		return nil
	}
	return &NeverError{Err: err}
}

// AfterError asks for the next attempt after Delay. Err may be nil: nothing failed, come back later.
type AfterError struct {
	Err   error
	Delay time.Duration
}

func (e *AfterError) Error() string {
	if e.Err == nil {
		return "come back after " + e.Delay.String()
	}
	return e.Err.Error()
}

// Unwrap returns the error that was marked; nil when there was none.
func (e *AfterError) Unwrap() error { return e.Err }

// After asks for the next attempt after d, up to what is left of the 12 hours. With an error it
// spends an attempt; without one it spends none.
func After(err error, d time.Duration) error { return &AfterError{Err: err, Delay: max(d, 0)} }

// PauseError asks that the whole queue rests, in this process, until Until.
type PauseError struct {
	Err   error
	Until time.Time
}

func (e *PauseError) Error() string {
	if e.Err == nil {
		return "pause until " + e.Until.UTC().Format(time.RFC3339)
	}
	return e.Err.Error()
}

// Unwrap returns the error that was marked; nil when there was none.
func (e *PauseError) Unwrap() error { return e.Err }

// Pause asks that this queue rests in this process until the given time, as after an answer 429.
// The message comes back then; no attempt is spent.
func Pause(err error, until time.Time) error { return &PauseError{Err: err, Until: until} }

// IsNever reports whether err, or an error that it wraps, was marked by Never.
func IsNever(err error) bool {
	_, ok := errors.AsType[*NeverError](err)
	return ok
}
