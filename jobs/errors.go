package jobs

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// DecodeError says that a body is not what the job takes. No attempt can mend that: the message is
// dead-lettered at once. Its text holds no value of the body.
type DecodeError struct{ Err error }

func (e *DecodeError) Error() string { return "decode body: " + e.Err.Error() }

// Unwrap returns what the decoder said.
func (e *DecodeError) Unwrap() error { return e.Err }

// Class names the failure in a failure record.
func (e *DecodeError) Class() string { return "decode" }

// PanicError is a panic of a job, or of a middleware, turned into the failure of its message.
type PanicError struct {
	Value any
	Stack []byte

	frame string
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the error that was the panic's value, if it was one.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Class names the failure in a failure record.
func (e *PanicError) Class() string { return "panic" }

// Frame is the function that panicked, without file and line, so that failures stay grouped when
// the file is edited.
func (e *PanicError) Frame() string { return e.frame }

// Recovered makes an error of what recover returned, for middleware that handles panics itself. Call it
// in the deferred function that recovered: the stack is still there. A PanicError that was panicked on
// is returned as it is.
func Recovered(v any) *PanicError {
	if p, ok := v.(error); ok {
		if again, ok := errors.AsType[*PanicError](p); ok {
			return again
		}
	}
	return &PanicError{Value: v, Stack: debug.Stack(), frame: panicFrame()}
}

// GoexitError stands for the answer of a job that ended its goroutine (runtime.Goexit) instead of returning.
type GoexitError struct{}

func (*GoexitError) Error() string {
	return "the job ended its goroutine (runtime.Goexit), must return"
}

// Class names the failure in a failure record.
func (*GoexitError) Class() string { return "goexit" }

// errNoAnswer stands for the answers that a batch job owes.
var errNoAnswer = errors.New("batch job gave no answer for this message")

// panicFrame finds the function that panicked: the first frame above the runtime's own. It must be
// called by the deferred function that recovered.
func panicFrame() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	panicking := false
	for {
		f, more := frames.Next()
		if f.Function == "runtime.gopanic" {
			panicking = true
		} else if panicking && !strings.HasPrefix(f.Function, "runtime.") {
			return f.Function
		}
		if !more {
			return ""
		}
	}
}
