package awsapi

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// unanswered tells whether a request that ended with err may have been performed. In doubt it may:
// what is taken for refused is sent again as if it were the first time.
func unanswered(err error) bool {
	if errors.Is(err, errNoAnswer) || errors.Is(err, errOtherBody) {
		return true
	}
	if _, entry := errors.AsType[*entryError](err); entry || classify(err) != nil || unsent(err) {
		return false
	}
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok && response.HTTPStatusCode() != 0 {
		status := response.HTTPStatusCode()
		return status >= http.StatusInternalServerError || status < http.StatusMultipleChoices
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	_, sending := errors.AsType[*smithyhttp.RequestSendError](err)
	_, reading := errors.AsType[*smithy.DeserializationError](err)
	return sending || reading
}

// unsent tells the errors with which a connection was not made, so that nothing was written.
func unsent(err error) bool {
	if network, ok := errors.AsType[*net.OpError](err); ok && network.Op == "dial" {
		return true
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	return untrusted || noTLS
}
