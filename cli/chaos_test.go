package cli_test

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/queue"
)

// What make chaos runs: minutes in real time, against a server in another process than the workers.

// chaosRest is how long a last worker may take for what the others have left.
const chaosRest = 3 * time.Minute

func chaos(t *testing.T) {
	t.Helper()
	if os.Getenv("STATIONMASTER_CHAOS") == "" {
		t.Skip("takes minutes: make chaos")
	}
}

func TestChaosFiftyKillsOver100000Messages(t *testing.T) {
	chaos(t)
	const messages, kills = 100_000, 50
	o := newOutside(t)
	o.surviveKills(t, messages, kills, chaosRest)
	t.Logf("chaos: %d kill -9 over %d messages · %d handled · %d more than once · 0 lost", kills, messages, o.distinct(), o.repeated())
}

const rolling = `
[worker]
drain_timeout = "20s"
[admin]
addr = "off"
[queues.tell]
job = "tell"
slots = 20
visibility_timeout = "10m"
wait_time = "1s"
`

// A deploy: four workers, each replaced three times under load, then all told to end in the middle of
// it. The lease is of ten minutes, so that anything left in flight would show.
func TestChaosRollingRestartOfFourWorkersLeavesNothingInFlight(t *testing.T) {
	chaos(t)
	const workers, rounds, paceOf = 4, 3, 10 * time.Millisecond
	o := newOutside(t)
	file := config(t, rolling)
	o.apply(t, file)
	var sent atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	produced := make(chan error, 1)
	go func() { produced <- o.produce(ctx, "tell", paceOf, &sent) }()

	type running struct {
		cmd  *exec.Cmd
		said *bytes.Buffer
	}
	start := func() running {
		cmd, said := o.command(t, file, "run")
		o.start(t, cmd)
		return running{cmd, said}
	}
	end := func(r running) {
		if err := r.cmd.Wait(); err != nil {
			t.Errorf("a worker that was told to end: %v\n%s", err, r.said)
		}
		if !strings.Contains(r.said.String(), "abandoned 0 · uncertain 0") {
			t.Errorf("its drain: %s", r.said)
		}
	}
	all := make([]running, workers)
	for i := range all {
		all[i] = start()
	}
	for range rounds {
		for i := range all {
			before := o.distinct()
			eventually(t, time.Minute, func() bool { return o.distinct() >= before+200 }, all[i].said.String)
			o.signal(t, all[i].cmd, syscall.SIGTERM)
			end(all[i])
			all[i] = start()
		}
	}
	o.fill(t, "tell", 5000) // a backlog, so that the last signal comes under load
	before := o.distinct()
	eventually(t, time.Minute, func() bool { return o.distinct() >= before+200 }, all[0].said.String)
	stop()
	if err := <-produced; err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		o.signal(t, r.cmd, syscall.SIGTERM)
	}
	for _, r := range all {
		end(r)
	}
	left := o.counts(t, "tell")
	if left.InFlight != 0 || left.Visible == 0 {
		t.Errorf("after the last drain %+v, want none in flight and a backlog", left)
	}
	// fill's "0" to "4999" and the producer's numbers from 10,000 on.
	o.finish(t, file, "tell", 5000+int(sent.Load()), chaosRest)
	if n := o.repeated(); n > 0 {
		t.Errorf("%d messages were handled twice: a drain that ends well repeats nothing", n)
	}
	t.Logf("chaos: %d workers, %d rolling restarts under load · %d handled · 0 twice · 0 left in flight", workers, workers*rounds, o.distinct())
}

// A network that delays answers, cuts connections in the middle of an answer and resets them. What a
// lost answer brought comes back when its lease ends.
func TestChaosABadNetworkLosesNothing(t *testing.T) {
	chaos(t)
	const messages = 10_000
	o := newOutside(t)
	file := config(t, killable)
	o.apply(t, file)
	o.fill(t, "tell", messages)
	direct := o.endpoint
	upstream, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	logger := zerolog.Nop()
	proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), logger), "sqs", "127.0.0.1:0", upstream.Host)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	defer proxy.Stop()
	o.endpoint = "http://" + proxy.Listen
	cmd, said := o.command(t, file, "run")
	o.start(t, cmd)
	toxics := []string{
		`{"type":"latency","attributes":{"latency":40,"jitter":40}}`,
		`{"type":"limit_data","attributes":{"bytes":700},"toxicity":0.5}`,
		`{"type":"reset_peer","attributes":{"timeout":50},"toxicity":0.3}`,
		`{"type":"slicer","attributes":{"average_size":64,"size_variation":32,"delay":50}}`,
		`{"type":"timeout","attributes":{"timeout":200},"toxicity":0.3}`,
		`{"type":"reset_peer","stream":"upstream","attributes":{"timeout":20},"toxicity":0.3}`,
	}
	for range 3 {
		for _, toxic := range toxics {
			added, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic))
			if err != nil {
				t.Fatal(err)
			}
			before := o.distinct()
			eventually(t, time.Minute, func() bool { return o.distinct() >= min(before+messages/40, messages) },
				func() string { return toxic + "\n" + said.String() })
			if err := proxy.Toxics.RemoveToxic(t.Context(), added.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	o.signal(t, cmd, syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the worker behind the bad network: %v\n%s", err, said)
	}
	o.endpoint = direct
	o.finish(t, file, "tell", messages, chaosRest)
	failed := strings.Count(said.String(), "receive failed")
	if failed < len(toxics) {
		t.Errorf("only %d receives failed: the bad network was none\n%s", failed, said)
	}
	t.Logf("chaos: %d spells of bad network over %d messages · %d failed receives · %d handled · %d more than once · 0 lost",
		3*len(toxics), messages, failed, o.distinct(), o.repeated())
}

// produce sends ten messages per tick until ctx ends, numbered from 10,000 on.
func (o *outside) produce(ctx context.Context, name string, every time.Duration, sent *atomic.Int64) error {
	whole := context.WithoutCancel(ctx)
	at, err := o.api.QueueURL(whole, name, "")
	if err != nil {
		return err
	}
	q := o.api.Queue(at, awsapi.QueueOptions{})
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if _, errs := q.Send(whole, numbered(10_000+int(sent.Load()), queue.MaxBatch)); errors.Join(errs...) != nil {
			return errors.Join(errs...)
		}
		sent.Add(queue.MaxBatch)
	}
}
