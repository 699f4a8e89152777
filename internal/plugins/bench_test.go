package plugins_test

import (
	"testing"
	"time"

	"github.com/stationmaster/worker/internal/plugins"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
)

// BenchmarkDispatch hands one message to a job that is compiled in, and to the same source loaded from
// a file, decoding and answer included. The two take turns, and the best turn of each counts, so that
// their ratio holds on a machine that others use too.
func BenchmarkDispatch(b *testing.B) {
	file := build(b, "echo").File
	if _, failed := plugins.Load([]string{file}); failed[file] != nil {
		b.Fatal(failed[file])
	}
	compiled, plugged := opened(b, "compiled-echo"), opened(b, "echo")
	const turn = 500 // messages
	best := map[*jobs.Instance]time.Duration{compiled: time.Hour, plugged: time.Hour}
	m := []*jobs.Info{jobs.Read(&queue.Delivery{Message: queue.Message{Body: `{"text":"hello"}`}, MessageID: "1", Receives: 1})}
	b.ReportAllocs()
	for b.Loop() {
		for _, i := range []*jobs.Instance{compiled, plugged} {
			start := time.Now()
			for range turn {
				if errs := i.Run(b.Context(), m); queue.At(errs, 0) != nil {
					b.Fatal(errs)
				}
			}
			best[i] = min(best[i], time.Since(start))
		}
	}
	b.ReportMetric(float64(best[compiled].Nanoseconds())/turn, "ns/compiled-in")
	b.ReportMetric(float64(best[plugged].Nanoseconds())/turn, "ns/plugin")
	ratio := float64(best[plugged]) / float64(best[compiled])
	b.ReportMetric(ratio, "plugin/compiled-in")
	// What a plugin calls, it calls by a table of addresses: some 25 ns a message, on 600.
	const most = 1.1
	if ratio > most {
		b.Errorf("a plugin's job costs %.2f of one that is compiled in, want at most %.2f", ratio, most)
	}
}

func opened(b *testing.B, name string) *jobs.Instance {
	b.Helper()
	d, ok := jobs.Default().Lookup(name)
	if !ok {
		b.Fatalf("%s is not registered", name)
	}
	i, err := d.Open(b.Context(), nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	return i
}
