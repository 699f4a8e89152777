package dlqreplay_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

// sendLanes sends messages in groups of different lengths: "g3:7" is the eighth of group 3.
func (d *depot) sendLanes(groups, most int) (n int) {
	d.t.Helper()
	for i := range most {
		var ms []queue.Message
		for g := range groups {
			if i < 1+g%most {
				body := fmt.Sprintf("g%d:%d", g, i)
				ms = append(ms, queue.Message{Body: body, GroupID: fmt.Sprintf("g%d", g), DeduplicationID: body})
			}
		}
		d.send(ms...)
		n += len(ms)
	}
	return n
}

// inOrder checks that what has arrived of each group is its beginning, in order, and returns how much.
func (d *depot) inOrder() (n int) {
	d.t.Helper()
	next := map[string]int{}
	for {
		ds, err := d.work.Receive(d.t.Context(), queue.MaxBatch, time.Second)
		if err != nil {
			d.t.Fatal(err)
		}
		if len(ds) == 0 {
			return n
		}
		for i := range ds {
			group, _, _ := strings.Cut(ds[i].Body, ":")
			if want := fmt.Sprintf("%s:%d", group, next[group]); ds[i].Body != want {
				d.t.Fatalf("%s arrived where %s should be", ds[i].Body, want)
			}
			next[group]++
			n++
			d.work.Delete(d.t.Context(), []queue.ReceiptHandle{ds[i].Handle})
		}
	}
}

func TestFIFOGroupsArriveInOrderWhateverFails(t *testing.T) {
	for _, row := range []struct {
		name  string
		spoil func(d *depot)
		whole bool
	}{
		{"nothing", func(*depot) {}, true},
		{"one of twenty sends fails for a passing reason", func(d *depot) { d.spoil("SendMessageBatch", d.workURL, "InternalError") }, true},
		{"one of twenty sends is refused for good", func(d *depot) { d.spoil("SendMessageBatch", d.workURL, "InvalidMessageContents") }, false},
		{"one of twenty deletes fails", func(d *depot) { d.spoil("DeleteMessageBatch", d.url, "InternalError") }, true},
		{"answers of accepted sends are lost", func(d *depot) { d.once("SendMessageBatch", d.workURL, 15, localaws.Fault{Lose: true}) }, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDepot(t, "work.fifo")
				n := d.sendLanes(60, 8)
				o := d.begin()
				o.Stream = true
				row.spoil(d)
				r := d.run(o)
				if r.Whole() != row.whole || row.whole && r.Selected != n || r.Ambiguous != 0 {
					t.Errorf("%d were sent: %+v", n, r)
				}
				if !row.whole && (r.Failed == 0 || r.Left == 0) {
					t.Errorf("a failure must stop its group: %+v", r)
				}
				if got := d.inOrder(); got != r.Replayed {
					t.Errorf("%d arrived, %d are replayed", got, r.Replayed)
				}
			})
		})
	}
}

// Beyond its first messages a group shows only when these are gone.
func TestFIFOGroupsAreFollowedToTheirEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work.fifo")
		for i := range 40 {
			d.send(queue.Message{Body: fmt.Sprintf("g0:%d", i), GroupID: "g0", DeduplicationID: fmt.Sprint(i)})
		}
		const n = 40
		o := d.begin()
		o.Stream = true
		if len(o.Plan.Selected) >= 40 {
			t.Fatalf("%d letters of one group were seen at once", len(o.Plan.Selected))
		}
		r := d.run(o)
		if !r.Whole() || r.Selected != n {
			t.Errorf("%+v", r)
		}
		if got := d.inOrder(); got != n {
			t.Errorf("%d arrived, want %d", got, n)
		}
	})
}

// What dies while the run is on ends its group: it is behind what was there, and not of this run.
func TestAFIFOGroupEndsAtWhatCameAfterTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work.fifo")
		for i := range 30 {
			d.send(queue.Message{Body: fmt.Sprintf("g0:%d", i), GroupID: "g0", DeduplicationID: fmt.Sprint(i)})
		}
		o := d.begin()
		o.Stream, o.Pace.Rate = true, 10
		time.AfterFunc(time.Second, func() {
			d.send(queue.Message{Body: "g0:30", GroupID: "g0", DeduplicationID: "30"}, queue.Message{Body: "g1:0", GroupID: "g1", DeduplicationID: "g1"})
		})
		r := d.run(o)
		if r.Outcome != dlqreplay.Completed || r.Replayed != 30 || r.Released != 2 {
			t.Errorf("%+v", r)
		}
		d.holds(2, 0)
	})
}

func TestBreakOrderGoesOnBehindAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work.fifo")
		n := d.sendLanes(60, 8)
		o := d.begin()
		o.Stream, o.BreakOrder = true, true
		d.spoil("SendMessageBatch", d.workURL, "InvalidMessageContents")
		r := d.run(o)
		// What is behind a failure and was not seen at the beginning stays behind it.
		if r.Failed == 0 || r.Left != 0 {
			t.Errorf("%+v", r)
		}
		d.holds(int64(n-r.Replayed), 0)
		arrived, last := map[string]int{}, map[string]int{}
		for _, m := range d.all(d.workURL) {
			at := 0
			if _, err := fmt.Sscanf(m.Body, m.GroupID+":%d", &at); err != nil {
				t.Fatal(err)
			}
			arrived[m.GroupID]++
			last[m.GroupID] = max(last[m.GroupID], at)
		}
		broken := 0
		for group, n := range arrived {
			if last[group] >= n {
				broken++
			}
		}
		if broken == 0 {
			t.Error("nothing behind a failure arrived")
		}
	})
}
