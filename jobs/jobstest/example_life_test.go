package jobstest_test

import (
	"testing"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/jobstest"
)

// Of a life nothing can be shown without a test, which lends it the virtual clock.
func ExampleLive() {
	var t *testing.T // func TestCharge(t *testing.T)

	registry := jobs.NewRegistry()
	jobs.AddTo(registry, "charge", charge)
	job, _ := registry.Lookup("charge")

	life := jobstest.Live(t, job, order{})
	life.WantTries(0)
	life.WantDead("error")
	life.WantGolden("nothing_to_charge")
}

func ExampleLiveAll() {
	var t *testing.T // func TestCharge(t *testing.T)

	registry := jobs.NewRegistry()
	jobs.AddTo(registry, "charge", charge)
	job, _ := registry.Lookup("charge")

	customer := jobstest.Group("customer-7")
	lives := jobstest.LiveAll(t, job, []any{
		jobstest.With(order{}, jobstest.ID("first"), customer),
		jobstest.With(order{Total: 12}, jobstest.ID("second"), customer),
	}, jobstest.FIFO())
	lives.WantOrder("first", "second")
	lives.Each[0].WantReason("nothing to charge")
	lives.Each[1].WantDone(1)
}

func ExampleServe() {
	var t *testing.T // func TestWebhook(t *testing.T)

	url := jobstest.Serve(t, jobstest.Answer(503), jobstest.Answer(429, "Retry-After", "600"), jobstest.Answer(204))
	life := jobstest.Live(t, "webhook", `{"event":"paid"}`, jobstest.Settings(map[string]any{"url": url, "allow_private": true}))
	life.WantDone(3)
}
