package worker_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/worker"
)

// posting is a job that only remembers where it would post to.
type posting struct {
	URL          string `config:"url"`
	Secret       string `config:"secret"`
	AllowPrivate bool   `config:"allow_private"`

	to chan<- string
}

func (p *posting) Handle(context.Context, *jobs.Message[map[string]any]) error {
	p.to <- p.URL
	return nil
}

// What died in a dev worker must not leave for the world when its job runs in an operator's command.
func TestAJobRunForADevWorkerReachesItsReceivers(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	to := make(chan string, 1)
	registry := jobs.NewRegistry()
	jobs.AddJobTo(registry, "webhook", func() *posting { return &posting{to: to} })
	file := filepath.Join(t.TempDir(), "config.toml")
	text := "[topics.invitations]\n[queues.webhook]\njob = \"webhook\"\n[jobs.webhook]\nurl = \"https://hooks.example.com/real\"\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o := worker.Options{ConfigFile: file, Jobs: registry}
	dev := startDev(t, o, false)
	if err := dev.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	at := strings.TrimPrefix(dev.Info().Endpoint, "http://")
	if _, _, err := net.SplitHostPort(at); err != nil {
		t.Fatal(err)
	}
	op, err := worker.OpenOperator(t.Context(), o, at)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := op.Send(t.Context(), "webhook-dlq", queue.Message{Body: `{}`}); err != nil {
		t.Fatal(err)
	}
	runLetterHere(t, o, "webhook", at)
	if url := <-to; !strings.HasPrefix(url, "http://127.0.0.1:") {
		t.Errorf("posted to %s", url)
	}
}

// runLetterHere runs the job of a dead-lettered message in this process, as a replay does that is told to.
func runLetterHere(t *testing.T, o worker.Options, name, devAddr string) {
	t.Helper()
	r, err := worker.OpenReplay(t.Context(), o, worker.ReplayOptions{Queue: name, DevAddr: devAddr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	held, err := dlqreplay.Scan(t.Context(), r.Scan())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release(t.Context(), nil)
	l := held.Letters()[0]
	here, err := r.RunHere(l, name)
	if err != nil {
		t.Fatal(err)
	}
	m, err := held.Message(l)
	if err != nil {
		t.Fatal(err)
	}
	if _, errs := here.Taker.Take(t.Context(), []*dlqreplay.Letter{l}, []queue.Message{m}); queue.At(errs, 0) != nil {
		t.Fatal(errs)
	}
}
