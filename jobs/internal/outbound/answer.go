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

// judge makes of an answer what a job returns.
func judge(where string, answer *http.Response, now time.Time) error {
	code := answer.StatusCode
	if code >= 200 && code < 300 {
		return nil
	}
	err := fmt.Errorf("post %s: %w", where, &StatusError{Code: code})
	if !passing(code) {
		return retry.Never(err)
	}
	if wait := retryAfter(answer.Header.Get("Retry-After"), now); wait > 0 {
		return retry.After(err, wait)
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
