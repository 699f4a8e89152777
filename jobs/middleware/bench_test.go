package middleware_test

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
)

// BenchmarkLayers hands one message to a job that does nothing, decoding and answer included: bare, with
// each layer, and with all of them. They take turns, and the best turn of each counts, so that the ratios
// to the bare job hold on a machine that others use too. Records are made and thrown away, spans are not
// exported, metrics are not collected.
func BenchmarkLayers(b *testing.B) {
	r := newRig()
	r.level, r.to = slog.LevelInfo, io.Discard
	opened := map[string]*jobs.Instance{"bare": r.open(b, false, nothing), "all": r.open(b, false, nothing, r.usual()...)}
	for name, layer := range r.layers() {
		opened[name] = r.open(b, false, nothing, layer)
	}
	names := []string{"bare", "Recover", "Timeout", "Once", "Log", "Trace", "Metrics", "all"}
	const turn = 500 // messages
	best := map[string]time.Duration{}
	n := 0
	for b.Loop() {
		for _, name := range names {
			ms := make([][]*jobs.Info, turn)
			for i := range ms {
				n++
				ms[i] = []*jobs.Info{jobs.Read(&queue.Delivery{Message: queue.Message{Body: `"hello"`}, MessageID: "m-" + string(rune(n)), Receives: 1})}
			}
			start := time.Now()
			for _, m := range ms {
				if errs := opened[name].Run(b.Context(), m); queue.At(errs, 0) != nil {
					b.Fatal(errs)
				}
			}
			if took := time.Since(start); best[name] == 0 || took < best[name] {
				best[name] = took
			}
		}
		r.spans.Reset()
	}
	for _, name := range names {
		b.ReportMetric(float64(best[name].Nanoseconds())/turn, "ns/"+name)
		b.ReportMetric(float64(best[name])/float64(best["bare"]), name+"/bare")
	}
}

func nothing(context.Context, string) error { return nil }

// TestALayerAllocatesLittle holds the layers that every message may go through to a few allocations.
func TestALayerAllocatesLittle(t *testing.T) {
	r := newRig()
	r.level = slog.LevelError
	bare := allocations(t, r.open(t, false, nothing))
	for name, most := range map[string]float64{"Recover": 1, "Timeout": 9, "Log": 3, "Metrics": 4} {
		if n := allocations(t, r.open(t, false, nothing, r.layers()[name])) - bare; n > most {
			t.Errorf("%s makes %v allocations for a message, want at most %v", name, n, most)
		}
	}
}

func allocations(t *testing.T, i *jobs.Instance) float64 {
	t.Helper()
	ms := messages("hello")
	var all []float64
	for range 3 {
		all = append(all, testing.AllocsPerRun(100, func() { i.Run(t.Context(), ms) }))
	}
	return slices.Min(all)
}
