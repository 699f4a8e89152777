// Package theirs lets tests that were written for the embedded AWS run on SNS and SQS as somebody else
// wrote them: on LocalStack, which an environment variable names. What LocalStack does otherwise is in
// DIFFERENCES.md, and a row of it that is no longer true fails the test that asks for it.
package theirs

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stationmaster/worker/queue"
)

// Variable names the endpoint, which has to be on this machine.
const Variable = "STATIONMASTER_E2E_ENDPOINT"

//go:embed DIFFERENCES.md
var differences string

// Server is an SNS and SQS of somebody else. The nil Server is the embedded one, which does as AWS does.
type Server struct {
	// Endpoint is its URL.
	Endpoint string

	suite string
	ours  bool            // it was empty when the first test began
	rows  map[string]bool // of the suite, and whether it was asked for
}

// API is what Empty needs.
type API interface {
	Queues(ctx context.Context) (urls []string, err error)
	DeleteQueue(ctx context.Context, url string) error
	Topics(ctx context.Context) (arns []string, err error)
	DeleteTopic(ctx context.Context, arn string) error
	Subscriptions(ctx context.Context, token string) (page []queue.Subscription, next string, err error)
	Unsubscribe(ctx context.Context, arn string) error
}

// Endpoint is the URL that the environment names, "" for none. One that is not on this machine fails the
// test: it could be AWS, and what tests make and delete there could be somebody's.
func Endpoint(t testing.TB) string {
	t.Helper()
	at := os.Getenv(Variable) //nolint:forbidigo // a test has no cli to ask
	if at == "" {
		return ""
	}
	if err := loopback(at); err != nil {
		t.Fatalf("%s=%s: %v", Variable, at, err)
	}
	return at
}

func loopback(at string) error {
	u, err := url.Parse(at)
	if err != nil {
		return err
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "http" || u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("want http:// and an address of this machine, for example http://127.0.0.1:4566")
	}
	return nil
}

// Open is the server for the tests of a package, its suite; the test is skipped where none is named. When
// the test is over, each row of the suite must have been asked for.
func Open(t *testing.T, suite string) *Server {
	t.Helper()
	at := Endpoint(t)
	if at == "" {
		t.Skipf("%s names no server (make test-localstack does)", Variable)
	}
	s := &Server{Endpoint: at, suite: suite, rows: rows(differences, suite)}
	t.Cleanup(func() {
		for row, asked := range s.rows {
			if !asked && !t.Failed() && !t.Skipped() {
				t.Errorf("DIFFERENCES.md: no test of %s asks for %q", suite, row)
			}
		}
	})
	return s
}

// rows reads the rows of a suite.
func rows(table, suite string) map[string]bool {
	all := map[string]bool{}
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) == 4 && strings.TrimSpace(cells[1]) == suite {
			all[strings.TrimSpace(cells[0])] = false
		}
	}
	return all
}

// Differs is whether the server does otherwise than AWS in something; false for the embedded one.
func (s *Server) Differs(row string) bool {
	if s == nil {
		return false
	}
	if _, listed := s.rows[row]; !listed {
		return false
	}
	s.rows[row] = true
	return true
}

// AsAWS checks that something is as on AWS, or, where the server is known to do otherwise, that it is not.
func (s *Server) AsAWS(t testing.TB, row string, as bool, format string, a ...any) {
	t.Helper()
	switch differs := s.Differs(row); {
	case differs && as:
		t.Errorf("DIFFERENCES.md: %q is no longer true: it is as on AWS", row)
	case !differs && !as:
		t.Errorf("%s: %s", row, fmt.Sprintf(format, a...))
	}
}

// Empty deletes what is there, so that a test begins as on a server of its own. What was there before the
// first test is somebody's, and the test is not run.
func (s *Server) Empty(t testing.TB, api API) {
	t.Helper()
	urls, err := api.Queues(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	arns, err := api.Topics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if found := slices.Concat(urls, arns); !s.ours && len(found) > 0 {
		t.Fatalf("%s has %s, and these tests would delete it: name a server that is empty", s.Endpoint, found[0])
	}
	s.ours = true
	for _, arn := range arns {
		if err := api.DeleteTopic(t.Context(), arn); err != nil {
			t.Fatal(err)
		}
	}
	s.unsubscribe(t, api)
	for _, url := range urls {
		if err := api.DeleteQueue(t.Context(), url); err != nil {
			t.Fatal(err)
		}
	}
}

// unsubscribe ends what outlives its topic, when that has gone: LocalStack fails for what a topic of the same
// name does not list.
func (s *Server) unsubscribe(t testing.TB, api API) {
	t.Helper()
	var all []queue.Subscription
	for token, more := "", true; more; more = token != "" {
		var page []queue.Subscription
		var err error
		if page, token, err = api.Subscriptions(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		all = append(all, page...)
	}
	for _, one := range all {
		if !strings.HasPrefix(one.ARN, "arn:") {
			continue
		}
		if err := api.Unsubscribe(t.Context(), one.ARN); err != nil && !errors.Is(err, queue.ErrNotFound) {
			t.Fatal(err)
		}
	}
}
