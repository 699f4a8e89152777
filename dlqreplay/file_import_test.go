package dlqreplay_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/queue"
)

// exported writes an export of recorded dead letters, and returns them.
func exported(t *testing.T, path string, h dlqreplay.Header, n int) (ls []*dlqreplay.Letter, ms []queue.Message) {
	t.Helper()
	ls, ms = letters(n)
	for i, l := range ls {
		d := &queue.Delivery{Message: ms[i], MessageID: l.MessageID, Sent: sent}
		death := deadletter.Death{Job: "email", Queue: "orders", Build: "v1", Now: sent.Add(time.Minute)}
		r := deadletter.New(d, death, errors.New("smtp: connection refused"))
		must(t, r.Write(&ms[i]))
		l.Kind, l.Record, l.SourceARN, l.Sent = dlqreplay.Recorded, r, "", sent.Add(time.Duration(i)*time.Second)
		l.Class, l.Reason, l.Fingerprint, l.Size = r.Class, r.Reason, r.Fingerprint, ms[i].Size()
		if h.FIFO {
			l.GroupID = []string{"a", "b"}[i%2]
			ms[i].GroupID = l.GroupID
		}
	}
	must(t, dlqreplay.WriteFile(t.Context(), path, h, ls, messageOf(ls, ms), nil))
	return ls, ms
}

func TestAnImportHoldsWhatWasExported(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl.zst")
	ls, ms := exported(t, path, header(), 25)
	before, err := os.ReadFile(path)
	must(t, err)
	held, h, err := dlqreplay.OpenImport(t.Context(), path, t.TempDir())
	must(t, err)
	if diff := cmp.Diff(ls, held.Letters()); diff != "" {
		t.Error(diff)
	}
	for i, l := range ls {
		m, err := held.Message(l)
		must(t, err)
		if diff := cmp.Diff(ms[i], m); diff != "" {
			t.Fatal(diff)
		}
	}
	if h.DLQARN != header().DLQARN || held.DLQ().Name != path || held.DLQ().FIFO {
		t.Errorf("header %+v of %+v", h, held.DLQ())
	}
	plan, err := held.Plan(t.Context(), dlqreplay.Filter{{Key: "job", Value: "email"}}, dlqreplay.Judge{
		To: func(*dlqreplay.Letter) (*dlqreplay.Destination, error) {
			return &dlqreplay.Destination{Name: "orders"}, nil
		},
	}, sent.Add(time.Hour))
	must(t, err)
	if !plan.Complete || len(plan.Selected) != len(ls) || len(plan.Groups) != 1 || plan.Groups[0].Fingerprint != ls[0].Fingerprint {
		t.Errorf("plan %+v", plan)
	}
	deliveries, err := held.DLQ().Queue.Receive(t.Context(), 10, 0)
	if err != nil || len(deliveries) != 0 {
		t.Errorf("a file handed out %d messages (%v)", len(deliveries), err)
	}
	counts, err := held.DLQ().Counts(t.Context())
	if err != nil || counts != (dlqreplay.Counts{}) {
		t.Errorf("counts %v (%v)", counts, err)
	}
	held.Release(t.Context(), nil)
	after, err := os.ReadFile(path)
	must(t, err)
	if string(before) != string(after) {
		t.Error("the import changed the file")
	}
}

func TestAnImportKeepsTheOrderOfAGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	h := header()
	h.FIFO = true
	ls, _ := exported(t, path, h, 6)
	held, _, err := dlqreplay.OpenImport(t.Context(), path, "")
	must(t, err)
	defer held.Release(t.Context(), nil)
	var want, got []string
	for _, i := range []int{0, 2, 4, 1, 3, 5} {
		want = append(want, ls[i].MessageID)
	}
	for _, l := range held.Letters() {
		got = append(got, l.MessageID)
	}
	if diff := cmp.Diff(want, got); diff != "" || !held.DLQ().FIFO {
		t.Errorf("FIFO %v: %s", held.DLQ().FIFO, diff)
	}
}

func TestAnImportOfACutFileHoldsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	exported(t, path, header(), 5)
	text, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, text[:len(text)-1], 0o600))
	held, _, err := dlqreplay.OpenImport(t.Context(), path, "")
	if err == nil || held != nil || !strings.Contains(err.Error(), path+": line 7:") {
		t.Errorf("held %v, error %v, want line 7", held, err)
	}
	if _, _, err := dlqreplay.OpenImport(t.Context(), path+".gone", ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want that there is no such file", err)
	}
}

func TestAnExportThatDeletesNothingLeavesNothingWhenItFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.jsonl")
	ls, ms := letters(5)
	gone := errors.New("gone")
	err := dlqreplay.WriteFile(t.Context(), path, header(), ls, func(l *dlqreplay.Letter) (queue.Message, error) {
		if l == ls[3] {
			return queue.Message{}, gone
		}
		return ms[0], nil
	}, nil)
	if !errors.Is(err, gone) {
		t.Errorf("error %v, want why", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := dlqreplay.WriteFile(ctx, path, header(), ls, messageOf(ls, ms), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that it was cancelled", err)
	}
	left, err := os.ReadDir(dir)
	must(t, err)
	if len(left) != 0 {
		t.Errorf("%v stay behind", left)
	}

	// What one that was killed left is of no use, and in nobody's way.
	must(t, os.WriteFile(path+".part", nil, 0o600))
	var told []dlqreplay.Event
	must(t, dlqreplay.WriteFile(t.Context(), path, header(), ls, messageOf(ls, ms), func(e dlqreplay.Event) { told = append(told, e) }))
	holds(t, path, ms...)
	if len(told) != 1 || told[0].Kind != dlqreplay.Exporting || told[0].Done != 5 || told[0].Total != 5 {
		t.Errorf("events %+v", told)
	}
}
