package cli_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stationmaster/worker/cli"
	"github.com/stationmaster/worker/jobs"
)

// asWorker makes this test binary a worker, so that tests can kill one; tellTo is where its jobs
// report what they handled.
const (
	asWorker = "CLI_TEST_AS_WORKER"
	tellTo   = "CLI_TEST_TELL_TO"
)

func TestMain(m *testing.M) {
	if os.Getenv(asWorker) == "" {
		os.Exit(m.Run())
	}
	tell := os.Getenv(tellTo)
	jobs.Register("tell", func(ctx context.Context, msg *jobs.Message[string]) error {
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		return post(ctx, tell, msg.Body)
	})
	jobs.Register("slow", func(ctx context.Context, msg *jobs.Message[string]) error {
		if err := post(ctx, tell, "started "+msg.Body); err != nil {
			return err
		}
		select {
		case <-time.After(time.Second):
			return post(ctx, tell, msg.Body)
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	jobs.Register("ship", func(ctx context.Context, msg *jobs.Message[string]) error { return post(ctx, tell, msg.Body) })
	jobs.Register("email", func(context.Context, *jobs.Message[struct{ Event, Email string }]) error { return nil })
	jobs.Register("layered", func(ctx context.Context, msg *jobs.Message[string]) error {
		return post(ctx, tell, layersOf(ctx)+msg.Body)
	}, jobs.Use(layer("own")))
	cli.Main(layers()...)
}

func post(ctx context.Context, to, text string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(text))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the receiver answered %d", response.StatusCode)
	}
	return nil
}
