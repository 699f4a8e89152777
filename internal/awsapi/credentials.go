package awsapi

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// markedCredentials marks the errors of a provider, so that "there are no credentials" can be told
// from a network error by type. The SDK wraps both in the same text.
type markedCredentials struct{ aws.CredentialsProvider }

// Retrieve asks the provider and marks its error.
func (m *markedCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := m.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return c, &credentialsError{err}
	}
	return c, nil
}

// IsCredentialsProvider lets the SDK recognize anonymous credentials through the wrapper.
func (m *markedCredentials) IsCredentialsProvider(target aws.CredentialsProvider) bool {
	return aws.IsCredentialsProvider(m.CredentialsProvider, target)
}

type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }
