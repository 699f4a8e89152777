package dlqreplay_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/internal/journal"
)

func TestAMillionMessagesTakeUnder100BytesEach(t *testing.T) {
	const total = 10 * hundredThousand
	before := heap()
	past := dlqreplay.PastOf(total)
	per := float64(heap()-before) / total
	t.Logf("%.1f bytes a message", per)
	if per > 100 {
		t.Errorf("%.1f bytes a message, want under 100", per)
	}
	if past.Count(dlqreplay.Deleted) != total/2 || past.Count(dlqreplay.Sent) != total/2 || past.Len() != total {
		t.Errorf("%d deleted, %d sent of %d", past.Count(dlqreplay.Deleted), past.Count(dlqreplay.Sent), past.Len())
	}
	if got := past.New(dlqreplay.UUID(total - 1)); got != dlqreplay.UUID(2*total-1) {
		t.Errorf("new id %s", got)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// model is what a Past should know, kept the plain way.
type model struct {
	order []string
	state map[string]dlqreplay.State
	made  map[string]string
	to    map[string]int
	place map[string]string
	again map[string]bool
}

func (m *model) touch(id string) {
	if _, has := m.state[id]; !has {
		m.state[id] = dlqreplay.Chosen
		m.order = append(m.order, id)
	}
}

func TestAPastKnowsWhatAPlainModelKnows(t *testing.T) {
	store := dlqreplay.Store{Dir: t.TempDir()}
	pool := []string{dlqreplay.UUID(1), dlqreplay.UUID(2), strings.ToUpper(dlqreplay.UUID(0xabc)), "m-1", "", "00000000-0000-0000-0000-000000000000", "ünï", dlqreplay.UUID(7)[:35]}
	rapid.Check(t, func(rt *rapid.T) {
		j, err := store.Begin(header())
		if err != nil {
			rt.Fatal(err)
		}
		m := model{state: map[string]dlqreplay.State{}, made: map[string]string{}, to: map[string]int{}, place: map[string]string{}, again: map[string]bool{}}
		for range rapid.IntRange(0, 12).Draw(rt, "steps") {
			if err := m.step(rt, j, pool); err != nil {
				rt.Fatal(err)
			}
		}
		if err := j.Close(); err != nil {
			rt.Fatal(err)
		}
		past, err := store.Read(j.ID())
		if err != nil {
			rt.Fatal(err)
		}
		var order []string
		count := map[dlqreplay.State]int{}
		for id, s := range past.All() {
			order = append(order, id)
			count[s]++
			if s != m.state[id] || past.State(id) != s || past.New(id) != m.made[id] {
				rt.Fatalf("%q is %v and %q, want %v and %q", id, s, past.New(id), m.state[id], m.made[id])
			}
		}
		if diff := cmp.Diff(m.order, order); diff != "" {
			rt.Fatal(diff)
		}
		for s := dlqreplay.Chosen; s <= dlqreplay.Refused; s++ {
			if past.Count(s) != count[s] {
				rt.Fatalf("count of %v is %d, want %d", s, past.Count(s), count[s])
			}
		}
		if diff := cmp.Diff(m.to, past.To()); diff != "" {
			rt.Fatal(diff)
		}
		if past.Ambiguous != len(m.again) || past.Len() != len(m.order) {
			rt.Fatalf("%d ambiguous of %d, want %d of %d", past.Ambiguous, past.Len(), len(m.again), len(m.order))
		}
	})
}

// step does one thing to a journal and to the model.
func (m *model) step(t *rapid.T, j *dlqreplay.Journal, pool []string) error {
	batch := rapid.SliceOfNDistinct(rapid.SampledFrom(pool), 1, 4, rapid.ID).Draw(t, "ids")
	step := rapid.SampledFrom([]string{"select", "sending", "sent", "refused", "deleted"}).Draw(t, "step")
	if step == "refused" {
		batch = batch[:1]
	}
	for _, id := range batch {
		m.touch(id)
	}
	switch step {
	case "select":
		return j.Select(batch)
	case "sending":
		to := rapid.SampledFrom([]string{"orders", "audit"}).Draw(t, "to")
		for _, id := range batch {
			if m.state[id] == dlqreplay.Sending {
				m.again[id] = true
			}
			m.state[id], m.place[id] = dlqreplay.Sending, to
		}
		return j.Sending(batch, to)
	case "sent":
		made := make([]string, len(batch))
		for i, id := range batch {
			made[i] = rapid.SampledFrom([]string{dlqreplay.UUID(50), dlqreplay.UUID(51), "odd", ""}).Draw(t, "made")
			m.made[id] = made[i]
			if s := m.state[id]; s != dlqreplay.Sent && s != dlqreplay.Deleted && m.place[id] != "" {
				m.to[m.place[id]]++
			}
			m.state[id] = dlqreplay.Sent
		}
		return j.Sent(batch, made, nil)
	case "refused":
		m.state[batch[0]] = dlqreplay.Refused
		return j.Sent(nil, nil, []dlqreplay.Refusal{{ID: batch[0], Why: "no"}})
	}
	for _, id := range batch {
		m.state[id] = dlqreplay.Deleted
	}
	return j.Deleted(batch)
}

func TestPlansAreKept(t *testing.T) {
	store := dlqreplay.Store{Dir: filepath.Join(t.TempDir(), "state", "replay")}
	if _, err := store.LoadPlan("p-none"); err == nil || !strings.Contains(err.Error(), "there is none in") {
		t.Errorf("error %v, want that there is none", err)
	}
	plan := &dlqreplay.Plan{DLQ: "orders-dlq", Selected: []string{"a", "b"}, Deaths: map[int]int{1: 2}, Created: sent}
	must(t, store.SavePlan(plan))
	got, err := store.LoadPlan(plan.ID)
	must(t, err)
	if diff := cmp.Diff(plan, got); diff != "" {
		t.Error(diff)
	}
	other := &dlqreplay.Plan{DLQ: "orders-dlq", Selected: []string{"a"}}
	must(t, store.SavePlan(other))
	if plan.Hash() == other.Hash() || plan.Hash() != got.Hash() {
		t.Error("plans of other letters have one hash, or one plan has two")
	}
	for _, id := range []string{"p-none", "../" + plan.ID, "", "r-1"} {
		_, err := store.LoadPlan(id)
		if err == nil || !strings.Contains(err.Error(), plan.ID) || !strings.Contains(err.Error(), other.ID) {
			t.Errorf("%q: error %v, want one that names what there is", id, err)
		}
	}
	entries, err := os.ReadDir(store.Dir)
	must(t, err)
	for _, e := range entries {
		info, err := e.Info()
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
	if info, err := os.Stat(store.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v (%v)", info.Mode(), err)
	}
}

func TestHistoryTellsOfEveryRun(t *testing.T) {
	store := dlqreplay.Store{Dir: t.TempDir()}
	done, err := store.Begin(header())
	must(t, err)
	must(t, done.Select([]string{"a"}), done.Sending([]string{"a"}, "orders"), done.Sent([]string{"a"}, []string{"b"}, nil),
		done.Deleted([]string{"a"}), done.End(&dlqreplay.Report{Outcome: dlqreplay.Completed}), done.Close())
	killed, err := store.Begin(header())
	must(t, err)
	must(t, killed.Select([]string{"a", "b", "c"}), killed.Sending([]string{"a"}, "orders"), killed.Close())
	running, err := store.Begin(header())
	must(t, err)
	must(t, os.WriteFile(filepath.Join(store.Dir, "r-broken.jsonl"), []byte("x\n"), 0o600),
		os.WriteFile(filepath.Join(store.Dir, "r-empty.jsonl"), nil, 0o600),
		os.WriteFile(filepath.Join(store.Dir, "notes.txt"), nil, 0o600))
	all, err := store.History()
	must(t, err)
	by := map[string]dlqreplay.Summary{}
	for _, s := range all {
		by[s.ID] = s
	}
	if got := slices.Sorted(maps.Keys(by)); len(got) != 5 {
		t.Fatalf("history of %v", got)
	}
	if s := by[done.ID()]; s.Resumable() || s.Report == nil || s.Deleted != 1 || s.Header.By != header().By {
		t.Errorf("completed: %+v", s)
	}
	if s := by[killed.ID()]; !s.Resumable() || s.Report != nil || s.Untouched != 2 || s.Sending != 1 || s.Chosen != 3 {
		t.Errorf("killed: %+v", s)
	}
	if s := by[running.ID()]; s.Resumable() || !strings.Contains(s.Running, fmt.Sprint(os.Getpid())) {
		t.Errorf("running: %+v", s)
	}
	if s := by["r-broken"]; s.Resumable() || !strings.Contains(s.Fault, "line 1") {
		t.Errorf("broken: %+v", s)
	}
	if s := by["r-empty"]; s.Resumable() || !strings.Contains(s.Fault, "nothing was sent") {
		t.Errorf("empty: %+v", s)
	}
	if _, err := json.Marshal(all); err != nil {
		t.Error(err)
	}
	_, _, err = store.Resume(running.ID())
	if want := fmt.Sprintf("in use by process %d", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("resume of what runs: %v, want %s", err, want)
	}
	must(t, running.Close())
	if _, _, err = store.Resume("r-none"); err == nil || !strings.Contains(err.Error(), killed.ID()) {
		t.Errorf("resume of nothing: %v, want what there is", err)
	}
}

func TestAResumedRunHasNotEnded(t *testing.T) {
	store := dlqreplay.Store{Dir: t.TempDir()}
	j, err := store.Begin(header())
	must(t, err)
	must(t, j.Select([]string{"a"}), j.End(&dlqreplay.Report{Outcome: dlqreplay.Interrupted}), j.Close())
	j, past, err := store.Resume(j.ID())
	must(t, err)
	if past.Report == nil || past.Report.Outcome != dlqreplay.Interrupted {
		t.Errorf("report %+v, want how it was interrupted", past.Report)
	}
	must(t, j.Sending([]string{"a"}, "orders"), j.Close())
	past, err = store.Read(j.ID())
	must(t, err)
	if past.Report != nil || past.State("a") != dlqreplay.Sending {
		t.Errorf("report %+v and state %v: it was resumed and then killed", past.Report, past.State("a"))
	}
}

// What a run that was killed has sent, or was sending, is known to the next one.
func TestWhatARunHasBegunIsKnownUntilItHasEnded(t *testing.T) {
	store := dlqreplay.Store{Dir: t.TempDir()}
	if runs, faults := store.Begun("arn:of:nothing", time.Time{}); len(runs)+len(faults) > 0 {
		t.Errorf("%v, %v of an empty folder", runs, faults)
	}
	h := header()
	h.DLQARN = "arn:aws:sqs:us-east-1:000000000000:orders-dlq"
	j, err := store.Begin(h)
	must(t, err)
	must(t, j.Select([]string{"untouched", "sending", "sent", "deleted", "refused"}), j.Sending([]string{"sending", "sent", "deleted", "refused"}, "orders"),
		j.Sent([]string{"sent", "deleted"}, []string{"n1", "n2"}, nil), j.Sent(nil, nil, []dlqreplay.Refusal{{ID: "refused", Why: "no"}}),
		j.Deleted([]string{"deleted"}), j.Close())
	other := header()
	other.DLQARN = h.DLQARN + "-of-somebody-else"
	o, err := store.Begin(other)
	must(t, err)
	must(t, o.Sending([]string{"elsewhere"}, "orders"), o.Close())
	must(t, os.WriteFile(filepath.Join(store.Dir, "r-damaged.jsonl"), []byte("{}\n{}\n"), 0o600))

	runs, faults := store.Begun(h.DLQARN, time.Time{})
	if diff := cmp.Diff(map[string]string{"sending": j.ID(), "sent": j.ID()}, runs); diff != "" {
		t.Errorf("begun (-want +got):\n%s", diff)
	}
	if len(faults) != 1 || !strings.Contains(faults[0].Error(), "r-damaged") {
		t.Errorf("faults %v, want the journal that cannot be read", faults)
	}
	if runs, faults := store.Begun(h.DLQARN, time.Now().Add(time.Hour)); len(runs)+len(faults) > 0 {
		t.Errorf("%v, %v of what has expired", runs, faults)
	}
	j, _, err = store.Resume(j.ID())
	must(t, err)
	must(t, j.Deleted([]string{"sent"}), j.Sent([]string{"sending"}, []string{"n3"}, nil), j.Deleted([]string{"sending"}), j.Close())
	if runs, _ := store.Begun(h.DLQARN, time.Time{}); len(runs) > 0 {
		t.Errorf("%v, and the run has ended", runs)
	}
}

func TestAJournalThatIsNoneOfOursIsRefused(t *testing.T) {
	store := dlqreplay.Store{Dir: t.TempDir()}
	for id, row := range map[string]struct {
		lines []string
		want  string
	}{
		"r-later":  {[]string{`{"run":{"v":99,"replay_id":"r-later","build":"v9"}}`}, "use the build that wrote it (v9)"},
		"r-header": {[]string{`{"select":["a"]}`}, "line 2: is no journal of a run"}, // line 1 says who opened it
		"r-twice":  {[]string{`{"run":{"v":1,"replay_id":"r-twice"}}`, `{"run":{"v":1,"replay_id":"r-twice"}}`}, "line 3: is no journal of a run"},
		"r-json":   {[]string{`{"run":{"v":1,"replay_id":"r-json"}}`, `{"sent":{"old":["a"],"new":[]}}`}, "line 3: 1 sent with 0 new ids"},
		"r-odd":    {[]string{`{"run":{"v":1,"replay_id":"r-odd"}}`, `{nonsense}`}, "line 3: invalid character"},
	} {
		l, err := journal.Create(filepath.Join(store.Dir, id+".jsonl"))
		must(t, err)
		for _, line := range row.lines {
			must(t, l.Append([]byte(line)))
		}
		must(t, l.Close())
		if _, _, err := store.Resume(id); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: error %v, want %s", id, err, row.want)
		}
		if _, err := store.Read(id); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: error %v, want %s", id, err, row.want)
		}
	}
}

func TestManyDestinationsAreCounted(t *testing.T) {
	store := dlqreplay.Store{Dir: t.TempDir()}
	j, err := store.Begin(header())
	must(t, err)
	for i := range 300 {
		id := []string{dlqreplay.UUID(i)}
		must(t, j.Sending(id, fmt.Sprint("to-", i)), j.Sent(id, id, nil))
	}
	must(t, j.Close())
	past, err := store.Read(j.ID())
	must(t, err)
	all := 0
	for _, n := range past.To() {
		all += n
	}
	if to := past.To(); all != 300 || to["to-0"] != 1 || to["others"] != 300-254 {
		t.Errorf("%d counted, %d of them in the rest", all, to["others"])
	}
}
