package outbound

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stationmaster/worker/retry"
)

// maxAfter bounds what a Retry-After can ask for: SQS hides a message for 12 hours at most.
const maxAfter = 12 * time.Hour

// StatusError is an answer that is not 2xx. It holds nothing that the other side wrote.
type StatusError struct{ Code int }

func (e *StatusError) Error() string {
	text := http.StatusText(e.Code)
	if text == "" {
		return fmt.Sprintf("answer %d", e.Code)
	}
	return fmt.Sprintf("answer %d %s", e.Code, text)
}

// Class names the failure in a failure record.
func (e *StatusError) Class() string { return "http_" + strconv.Itoa(e.Code) }

// Answer is what came back.
type Answer struct {
	// Code is the status.
	Code int
	// Said is the beginning of what the other side wrote. No error may quote it: it can hold anything.
	Said []byte
	// From is the scheme and the host that answered: what may be shown of the URL.
	From string

	after time.Duration
}

// OK reports whether the request was taken.
func (a *Answer) OK() bool { return a.Code >= 200 && a.Code < 300 }

// RetryAfter is how long the other side asked to be left alone, at most twelve hours; 0 when it did
// not ask.
func (a *Answer) RetryAfter() time.Duration { return a.after }

// Judge makes of an answer what a job returns, as Post does.
func (a *Answer) Judge() error {
	if a.OK() {
		return nil
	}
	return a.As(&StatusError{Code: a.Code})
}

// As marks err, which says what was answered, by what the status says: whether and when to try again.
func (a *Answer) As(err error) error {
	err = fmt.Errorf("post %s: %w", a.From, err)
	if !passing(a.Code) {
		return retry.Never(err)
	}
	if a.after > 0 {
		return retry.After(err, a.after)
	}
	return err
}

// passing says whether the same request may be answered better later. A redirect is not: it is
// answered by configuring the new URL.
func passing(code int) bool {
	switch code {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return code >= 500
}

// retryAfter reads the header's two forms, seconds and an HTTP date; 0 when there is nothing to wait
// for or it cannot be read.
func retryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if header == "" {
		return 0
	}
	if digits(header) {
		// A number too large for an int is a wait too long for us all the same.
		n, err := strconv.ParseInt(header, 10, 64)
		if err != nil || n > int64(maxAfter/time.Second) {
			return maxAfter
		}
		return time.Duration(n) * time.Second
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxAfter)
}

func digits(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}
