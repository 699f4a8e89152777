package dlqreplay_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

// Whatever fails, and at whatever step the run is killed, however often: in the end nothing is lost, and
// nothing is there twice that was not said to be ambiguous.
func TestNothingIsLostAndNothingIsTwiceThatWasNotSaidToBe(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var (
			fifo  = rapid.Bool().Draw(rt, "fifo")
			n     = rapid.IntRange(1, 80).Draw(rt, "letters")
			loops = rapid.IntRange(1, 4).Draw(rt, "loops")
			dies  = rapid.SliceOfN(rapid.IntRange(0, 60), 0, 3).Draw(rt, "dies at")
			seed  = rapid.SliceOfN(rapid.IntRange(0, 99), 20, 20).Draw(rt, "faults")
			ill   = rapid.IntRange(0, 15).Draw(rt, "percent")
		)
		fault := ""
		synctest.Test(t, func(t *testing.T) {
			name := "work"
			if fifo {
				name = "work.fifo"
			}
			d := newDepot(t, name)
			d.sendGroups(n, max(n/3, 1))
			stop := d.faults(seed, ill)
			id := ""
			for i, at := range dies {
				k := newDying(func(_ string, step int) bool { return step >= at })
				change := func(o *dlqreplay.Options) { o.Pace.Loops, o.Stream = loops, i%2 == 1 }
				if id == "" {
					id = d.kill(k, change)
				} else {
					d.killAgain(id, k, change)
				}
			}
			if id == "" {
				id = d.kill(newDying(func(string, int) bool { return false }), nil)
			}
			stop()
			r := d.resume(id, func(o *dlqreplay.Options) { o.Pace.Loops, o.Stream = loops, true })
			<-time.After(2 * holdFor) // what answers that were lost had brought is hidden until then
			lost, twice := d.account(n)
			if r.Outcome != dlqreplay.Completed || r.Left > 0 || r.Undeleted > 0 || lost > 0 || twice > r.Ambiguous {
				fault = fmt.Sprintf("%d lost, %d twice: %+v", lost, twice, r)
			}
		})
		if fault != "" {
			rt.Fatal(fault)
		}
	})
}

// faults spoils a share of all requests, each in a way that SQS or the network has.
func (d *depot) faults(seed []int, percent int) (stop func()) {
	var mu sync.Mutex
	n := 0
	return d.server.Control("", func(r *localaws.Request) *localaws.Fault {
		mu.Lock()
		defer mu.Unlock()
		n++
		if (seed[n%len(seed)]+n*37)%100 >= percent {
			return nil
		}
		switch (seed[(n*7)%len(seed)] + n) % 5 {
		case 0:
			return &localaws.Fault{Status: 503}
		case 1:
			return &localaws.Fault{Lose: true}
		case 2:
			return &localaws.Fault{Status: 403, Code: "RequestThrottled"}
		case 3:
			return &localaws.Fault{Cut: true}
		}
		if len(r.Entries) == 0 {
			return nil
		}
		return &localaws.Fault{Entries: map[string]string{r.Entries[n%len(r.Entries)]: "InternalError"}}
	})
}

// killAgain resumes a run and kills it again.
func (d *depot) killAgain(id string, k *dying, change func(o *dlqreplay.Options)) {
	d.t.Helper()
	j, past, err := d.store.Resume(id)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = j.Close() }() // what counts is read from the disk
	scan := d.options()
	scan.DLQ.Queue = dyingSource{d.dlq.Queue, k}
	held, err := dlqreplay.Scan(d.t.Context(), scan)
	if err != nil {
		return // killed during its scan
	}
	o := dlqreplay.Options{
		ReplayID: id, Held: held, Past: past, Judge: d.dyingJudge(k), Event: d.event,
		Pace: dlqreplay.Pace{StopOnReturn: 1}, Journal: dyingLog{j, k}, Hurry: k.dead,
	}
	change(&o)
	_, _ = dlqreplay.Run(d.t.Context(), o) // it is killed; what it says is not heard
}

var _ queue.Settler = dyingSource{}
