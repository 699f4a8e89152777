package queue

import "errors"

// Classes of what a queue can answer. Adapters wrap the service's error with one of them, so that
// the code above branches on the class and still prints the cause.
var (
	// ErrLeaseLost says that the receipt no longer holds the message: SQS answered
	// ReceiptHandleIsInvalid, MessageNotInflight, or InvalidParameterValue about the receipt.
	ErrLeaseLost = errors.New("lease lost")
	// ErrThrottled says that the service asked for fewer requests.
	ErrThrottled = errors.New("throttled")
	// ErrNotFound says that the queue or the topic does not exist.
	ErrNotFound = errors.New("not found")
	// ErrDenied says that the caller is known but may not do this.
	ErrDenied = errors.New("access denied")
	// ErrCredentials says that there are no credentials, or that they have expired or are wrong.
	ErrCredentials = errors.New("credentials refused")
	// ErrRejected says that the request itself is at fault and repeating it cannot help.
	ErrRejected = errors.New("rejected")
	// ErrUnanswered says that nobody knows whether the request was performed: its answer was lost, or
	// the service failed in the middle of it.
	ErrUnanswered = errors.New("no answer")
)

// At returns errs[i], or nil when errs is nil: the reading side of an index-aligned answer in
// which nil means that everything was accepted.
func At(errs []error, i int) error {
	if i >= len(errs) {
		return nil
	}
	return errs[i]
}

// Each returns n times err: the answer of a batch whose whole request failed.
func Each(err error, n int) []error {
	if err == nil {
		return nil
	}
	all := make([]error, n)
	for i := range all {
		all[i] = err
	}
	return all
}
