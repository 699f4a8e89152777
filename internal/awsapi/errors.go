package awsapi

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/stationmaster/worker/queue"
)

// fault is an error of one call: which call on what, its class, and the service's own words. It
// leaves out the SDK's chain of operation names and counters, which says nothing to an operator.
type fault struct {
	op, name string
	class    error // one of queue.Err*, or nil: the network or the service, may pass by itself
	err      error
	// handles must not be told: SQS quotes them in what it says of them, and they are credentials.
	handles []queue.ReceiptHandle
}

// leastHandle is shorter than any receipt handle of any server, and longer than what stands in a
// sentence by chance.
const leastHandle = 12

// wrap classes err; nil stays nil.
func wrap(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fault{op: op, name: name, class: classify(err), err: err}
}

// Error reads as a path: operation, object, class, cause, and what to do where that is known.
func (f *fault) Error() string {
	var b strings.Builder
	b.WriteString(f.op)
	if f.name != "" {
		b.WriteByte(' ')
		b.WriteString(f.name)
	}
	text := cause(f.err)
	if f.class != nil && !f.told() && !strings.HasPrefix(text, f.class.Error()) {
		b.WriteString(": ")
		b.WriteString(f.class.Error())
	}
	b.WriteString(": ")
	b.WriteString(text)
	b.WriteString(fix(f.class, f.err))
	text = b.String()
	for _, h := range f.handles {
		if len(h) >= leastHandle {
			text = strings.ReplaceAll(text, string(h), "<receipt>")
		}
	}
	return text
}

// told: the service's own words say the class already, and nobody needs "not found: NotFound".
func (f *fault) told() bool {
	var api smithy.APIError
	known := errors.Is(f.class, queue.ErrNotFound) || errors.Is(f.class, queue.ErrRejected)
	return known && errors.As(f.err, &api) && api.ErrorMessage() != ""
}

// Unwrap offers the class and the cause to errors.Is and errors.As.
func (f *fault) Unwrap() []error {
	if f.class == nil {
		return []error{f.err}
	}
	return []error{f.class, f.err}
}

// cause is the shortest true account of err.
func cause(err error) string {
	if marked, ok := errors.AsType[*credentialsError](err); ok {
		return marked.Error()
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		text := api.ErrorCode()
		// Below its first line, a refused signature quotes the request with the session token in it.
		if m, _, _ := strings.Cut(strings.TrimSpace(api.ErrorMessage()), "\n"); m != "" {
			text += ": " + m
		}
		var response *awshttp.ResponseError
		if errors.As(err, &response) && response.RequestID != "" {
			text += " (request " + response.RequestID + ")"
		}
		return text
	}
	if request, ok := errors.AsType[*url.Error](err); ok {
		return request.Error()
	}
	return err.Error()
}

func fix(class, err error) string {
	var dial *net.OpError
	switch {
	case errors.Is(class, queue.ErrCredentials):
		return "; set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or renew them with: aws sso login"
	case class == nil && errors.As(err, &dial) && dial.Op == "dial":
		return "; check the network, AWS_REGION and AWS_ENDPOINT_URL"
	}
	return ""
}

// classify tells the class of err by type, then by code, then by status; never by English text.
func classify(err error) error {
	if errors.Is(err, queue.ErrUnanswered) {
		return queue.ErrUnanswered
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	if _, ok := errors.AsType[*credentialsError](err); ok {
		return queue.ErrCredentials
	}
	for _, class := range classes {
		if errors.Is(err, class) {
			return class
		}
	}
	if class := classOfType(err); class != nil {
		return class
	}
	status := 0
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		status = response.HTTPStatusCode()
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		return classOfStatus(status, false)
	}
	if class, known := classOfCode(api.ErrorCode()); known {
		return class
	}
	if status == 0 && api.ErrorFault() == smithy.FaultClient {
		return queue.ErrRejected // an entry of a batch
	}
	return classOfStatus(status, true)
}

// classes are all of them: an error that already carries one keeps it.
var classes = []error{queue.ErrLeaseLost, queue.ErrThrottled, queue.ErrNotFound, queue.ErrDenied, queue.ErrCredentials, queue.ErrRejected}

// classOfType knows the shapes whose code depends on whether the server sent the query-compatible
// header: AWS does, most emulators do not.
func classOfType(err error) error {
	var (
		noQueue   *types.QueueDoesNotExist
		noTopic   *snstypes.NotFoundException
		throttled *types.RequestThrottled
		over      *types.OverLimit
		kms       *types.KmsThrottled
		slow      *snstypes.ThrottledException
		slowKMS   *snstypes.KMSThrottlingException
		stale     *types.ReceiptHandleIsInvalid
		free      *types.MessageNotInflight
		badID     *types.InvalidIdFormat
		denied    *snstypes.AuthorizationErrorException
	)
	switch {
	case errors.As(err, &noQueue), errors.As(err, &noTopic):
		return queue.ErrNotFound
	case errors.As(err, &throttled), errors.As(err, &over), errors.As(err, &kms), errors.As(err, &slow), errors.As(err, &slowKMS):
		return queue.ErrThrottled
	case errors.As(err, &stale), errors.As(err, &free), errors.As(err, &badID):
		return queue.ErrLeaseLost
	case errors.As(err, &denied):
		return queue.ErrDenied
	}
	return nil
}

// codes maps the code of an error, without its service prefix, to its class. nil: known, and may
// pass by itself although the status says that the caller is at fault.
var codes = map[string]error{
	"NonExistentQueue": queue.ErrNotFound, "QueueDoesNotExist": queue.ErrNotFound, "NotFound": queue.ErrNotFound,
	"NotFoundException": queue.ErrNotFound, "ResourceNotFound": queue.ErrNotFound, "ResourceNotFoundException": queue.ErrNotFound,

	"Throttled": queue.ErrThrottled, "ThrottledException": queue.ErrThrottled, "Throttling": queue.ErrThrottled,
	"ThrottlingException": queue.ErrThrottled, "RequestThrottled": queue.ErrThrottled, "RequestThrottledException": queue.ErrThrottled,
	"RequestLimitExceeded": queue.ErrThrottled, "TooManyRequestsException": queue.ErrThrottled, "SlowDown": queue.ErrThrottled,
	"OverLimit": queue.ErrThrottled, "KmsThrottled": queue.ErrThrottled, "KMSThrottling": queue.ErrThrottled,
	"KMS.ThrottlingException": queue.ErrThrottled,

	"ReceiptHandleIsInvalid": queue.ErrLeaseLost, "MessageNotInflight": queue.ErrLeaseLost, "InvalidIdFormat": queue.ErrLeaseLost,

	"AccessDenied": queue.ErrDenied, "AccessDeniedException": queue.ErrDenied, "AuthorizationError": queue.ErrDenied,
	"AuthorizationErrorException": queue.ErrDenied, "KmsAccessDenied": queue.ErrDenied, "KMSAccessDenied": queue.ErrDenied,
	"KMS.AccessDeniedException": queue.ErrDenied, "UnauthorizedOperation": queue.ErrDenied, "OptInRequired": queue.ErrDenied,

	"ExpiredToken": queue.ErrCredentials, "ExpiredTokenException": queue.ErrCredentials, "InvalidClientTokenId": queue.ErrCredentials,
	"UnrecognizedClient": queue.ErrCredentials, "UnrecognizedClientException": queue.ErrCredentials,
	"SignatureDoesNotMatch": queue.ErrCredentials, "InvalidSignatureException": queue.ErrCredentials,
	"IncompleteSignature": queue.ErrCredentials, "IncompleteSignatureException": queue.ErrCredentials,
	"InvalidAccessKeyId": queue.ErrCredentials, "AuthFailure": queue.ErrCredentials, "MissingAuthenticationToken": queue.ErrCredentials,
	"MissingAuthenticationTokenException": queue.ErrCredentials, "RequestExpired": queue.ErrCredentials,

	"ConcurrentAccess": nil, "QueueDeletedRecently": nil, "PurgeQueueInProgress": nil, "RequestTimeout": nil,
	"RequestTimeoutException": nil,
}

const queryPrefix = "AWS.SimpleQueueService."

func classOfCode(code string) (class error, known bool) {
	class, known = codes[strings.TrimPrefix(code, queryPrefix)]
	return class, known
}

// classOfStatus judges what has no code that is known: a proxy's answer, or a new code.
func classOfStatus(status int, coded bool) error {
	switch {
	case status == 429:
		return queue.ErrThrottled
	case status == 401 || status == 403:
		return queue.ErrDenied
	case coded && status >= 400 && status < 500 && status != 408:
		return queue.ErrRejected
	}
	return nil
}
