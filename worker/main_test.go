package worker_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	elsewhere "github.com/stationmaster/worker/internal/theirs"
)

// TestMain looks for goroutines left behind. A server of our own ends its connections with the test;
// somebody else's (make test-localstack) outlives it, and idle connections to it with their goroutines.
func TestMain(m *testing.M) {
	var ignored []goleak.Option
	if os.Getenv(elsewhere.Variable) != "" { //nolint:forbidigo // a test has no cli to ask
		ignored = append(ignored,
			goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
	}
	goleak.VerifyTestMain(m, ignored...)
}
