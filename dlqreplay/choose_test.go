package dlqreplay_test

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

// names replaces MessageIds in what is compared.
func names(ids []string, of map[string]string) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = of[id]
	}
	return out
}

// A plan as an operator reads it: recorded, moved, foreign; what a judge lets through and what not.
func TestAPlanGroupsByCauseAndJudges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		now := time.Now()
		smtp := errors.New("dial tcp 10.0.0.7:587: i/o timeout")
		mail := deadletter.Death{Job: "email", Queue: "orders", Now: now.Add(-time.Hour)}
		thumb := deadletter.Death{Job: "thumbnail", Queue: "orders", Now: now.Add(-30 * time.Minute)}
		var ms []queue.Message
		for i := range 4 {
			d := mail
			d.Now = d.Now.Add(time.Duration(i) * time.Minute)
			ms = append(ms, dead(fmt.Sprintf(`{"to":"p%d"}`, i), d, now.Add(-time.Duration(10-i)*time.Hour), smtp))
		}
		ms = append(ms, dead(`{"image":"secret.webp"}`, thumb, now.Add(-2*time.Hour), errors.New("no header")),
			queue.Message{Body: `{"a":1,"b":2}`}, queue.Message{Body: "text"})
		sent := y.send(ms...)
		of := map[string]string{}
		for i, id := range sent {
			of[id] = []string{"m0", "m1", "m2", "m3", "thumb", "shape", "text"}[i]
		}
		<-time.After(time.Second)
		h := y.scan(nil)
		defer h.Release(t.Context(), nil)
		orders := &dlqreplay.Destination{Name: "orders"}
		p, err := h.Plan(t.Context(), nil, dlqreplay.Judge{
			MaxDeaths: 3,
			Check: func(l *dlqreplay.Letter, _ *queue.Message) error {
				if l.Job == "thumbnail" {
					return errors.New("format of secret.webp unsupported")
				}
				if l.Job == "" {
					return fmt.Errorf("no job: %w", dlqreplay.ErrUnchecked)
				}
				return nil
			},
			To: func(l *dlqreplay.Letter) (*dlqreplay.Destination, error) {
				if l.Kind == dlqreplay.Foreign && l.Reason == "" {
					return nil, errors.New("nobody knows where it came from: name a queue with --to")
				}
				return orders, nil
			},
			Limit: 100,
		}, now)
		if err != nil {
			t.Fatal(err)
		}
		retention := 14 * 24 * time.Hour
		fp := func(job, class, reason string) string { return deadletter.Fingerprint(job, class, reason) }
		want := &dlqreplay.Plan{
			DLQ: "orders-dlq", DLQARN: "arn:aws:sqs:us-east-1:000000000000:orders-dlq", Created: now,
			Scanned: 7, Total: 7, Complete: true, Took: p.Took,
			Groups: []dlqreplay.Group{
				{
					Fingerprint: fp("email", "error", "dial tcp <ip>:<port>: i/o timeout"), Kind: "recorded", Job: "email", Class: "error",
					Reason: "dial tcp <ip>:<port>: i/o timeout", Count: 4, Matched: 4, Selected: 4, First: now.Add(-time.Hour), Last: now.Add(-57 * time.Minute),
					Expires: now.Add(-time.Hour).Add(retention), Example: "m0",
				},
				{
					Fingerprint: fp("thumbnail", "error", "no header"), Kind: "recorded", Job: "thumbnail", Class: "error", Reason: "no header",
					Count: 1, Matched: 1, First: thumb.Now, Last: thumb.Now, Expires: thumb.Now.Add(retention), Example: "thumb",
				},
				{
					Fingerprint: fp("", "", "{a, b}"), Kind: "foreign", Reason: "{a, b}", Count: 1, Matched: 1, Selected: 1,
					First: now, Last: now, Expires: now.Add(retention), Example: "shape",
				},
				{
					Fingerprint: "------", Kind: "foreign", Count: 1, Matched: 1, First: now, Last: now, Expires: now.Add(retention), Example: "text",
				},
			},
			Matched: 7, Selected: []string{"m0", "m1", "m2", "m3", "shape"},
			Skipped: []dlqreplay.Skipped{
				{Why: "check", Job: "thumbnail", Text: "format of <body> unsupported", Count: 1},
				{Why: "nowhere", Text: "nobody knows where it came from: name a queue with --to", Count: 1},
			},
			To: map[string]int{"orders": 5}, Checked: 4, Deaths: map[int]int{0: 2, 1: 5}, Bytes: p.Bytes,
		}
		p.Selected = names(p.Selected, of)
		for i := range p.Groups {
			p.Groups[i].Example = of[p.Groups[i].Example]
		}
		byCause := cmp.Transformer("groups", func(gs []dlqreplay.Group) map[string]dlqreplay.Group {
			all := map[string]dlqreplay.Group{}
			for _, g := range gs {
				all[g.Fingerprint] = g
			}
			return all
		})
		if diff := cmp.Diff(want, p, byCause, cmp.Comparer(func(a, b time.Time) bool { return a.Truncate(time.Millisecond).Equal(b.Truncate(time.Millisecond)) })); diff != "" {
			t.Errorf("plan (-want +got):\n%s", diff)
		}
		if p.Groups[0].Count != 4 {
			t.Errorf("the largest group is not first: %+v", p.Groups)
		}
		if p.Bytes < 4*200 {
			t.Errorf("%d bytes are selected", p.Bytes)
		}
	})
}

func TestTheLimitTakesTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		of, now := map[string]string{}, time.Now()
		for _, hours := range []int{3, 9, 1, 7, 5} {
			m := dead("{}", deadletter.Death{Job: "email", Now: now}, now.Add(-time.Duration(hours)*time.Hour), errors.New("x"))
			of[y.send(m)[0]] = fmt.Sprint(hours)
		}
		h := y.scan(nil)
		defer h.Release(t.Context(), nil)
		p := y.plan(h, nil, dlqreplay.Judge{Limit: 3})
		if got := strings.Join(names(p.Selected, of), " "); got != "9 7 5" || p.Matched != 5 || len(p.Skipped) > 0 {
			t.Errorf("selected %s of %d, skipped %v", got, p.Matched, p.Skipped)
		}
	})
}

func TestWhatIsTooLargeCountsAsItWillBeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		death := deadletter.Death{Job: "email", Queue: "orders", Build: strings.Repeat("b", 60), Host: strings.Repeat("h", 60), Now: time.Now()}
		fit := dead(strings.Repeat("x", 3800), death, time.Now(), errors.New(strings.Repeat("long ", 40)))
		over := dead(strings.Repeat("x", 4090), death, time.Now(), errors.New("y"))
		sent := y.send(fit, over, queue.Message{Body: strings.Repeat("x", 4096)}, queue.Message{Body: strings.Repeat("x", 4097)})
		if fit.Size() <= 4096 {
			t.Fatalf("the first has only %d bytes", fit.Size())
		}
		of := map[string]string{sent[0]: "fits", sent[1]: "over", sent[2]: "plain fits", sent[3]: "plain over"}
		h := y.scan(nil)
		defer h.Release(t.Context(), nil)
		for _, unchanged := range []bool{false, true} {
			to := &dlqreplay.Destination{Name: "small", MaxBytes: 4096, Unchanged: unchanged}
			p := y.plan(h, nil, dlqreplay.Judge{To: func(*dlqreplay.Letter) (*dlqreplay.Destination, error) { return to, nil }})
			want := []string{"fits", "plain fits"}
			if unchanged {
				want = want[1:]
			}
			same(t, want, names(p.Selected, of))
			for _, s := range p.Skipped {
				if s.Why != dlqreplay.SkipTooLarge || s.Text != "small takes at most 4096 bytes" {
					t.Errorf("skipped: %+v", s)
				}
			}
		}
	})
}

// What follows something that is not replayed stays in its group, whatever the reason is.
func TestAFIFOGroupStopsAtTheFirstThatIsNotReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq.fifo", localaws.Nasty{})
		y.sendGroups(5, "a", "b")
		h := y.scan(nil)
		defer h.Release(t.Context(), nil)
		of := map[string]string{}
		for _, l := range h.Letters() {
			m, err := h.Message(l)
			if err != nil {
				t.Fatal(err)
			}
			of[l.MessageID] = m.Body
		}
		check := func(_ *dlqreplay.Letter, m *queue.Message) error {
			if m.Body == "b3" {
				return errors.New("no")
			}
			return nil
		}
		for _, row := range []struct {
			j    dlqreplay.Judge
			f    dlqreplay.Filter
			want string
			skip int
		}{
			{want: "a0 a1 a2 a3 a4 b0 b1 b2 b3 b4"},
			{j: dlqreplay.Judge{Check: check}, want: "a0 a1 a2 a3 a4 b0 b1 b2", skip: 1},
			{j: dlqreplay.Judge{Check: check, BreakOrder: true}, want: "a0 a1 a2 a3 a4 b0 b1 b2 b4"},
			{f: dlqreplay.Filter{{Key: "where", Value: `.body == "a1"`, Not: true}}, want: "a0 b0 b1 b2 b3 b4", skip: 3},
			{f: dlqreplay.Filter{{Key: "where", Value: `.body == "a1"`, Not: true}}, j: dlqreplay.Judge{BreakOrder: true}, want: "a0 a2 a3 a4 b0 b1 b2 b3 b4"},
			{j: dlqreplay.Judge{Limit: 7}, want: "a0 a1 a2 a3 a4 b0 b1"},
		} {
			p := y.plan(h, row.f, row.j)
			skipped := 0
			for _, s := range p.Skipped {
				if s.Why == dlqreplay.SkipGroup {
					skipped += s.Count
				}
			}
			if got := strings.Join(names(p.Selected, of), " "); got != row.want || skipped != row.skip {
				t.Errorf("%s %+v: selected %s, want %s; %d skipped for their group, want %d", row.f, row.j.BreakOrder, got, row.want, skipped, row.skip)
			}
		}
	})
}

// Three queues share a dead-letter queue, and a worker sent some into it itself.
func TestASharedDeadLetterQueueKeepsItsSourcesApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "shared-dlq", localaws.Nasty{})
		sources := []string{"orders", "mails", "images"}
		for i, name := range sources {
			url, err := y.api.CreateQueue(t.Context(), name, map[string]string{
				"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":1}`, y.dlq.ARN), "VisibilityTimeout": "1",
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			q := y.api.Queue(url, awsapi.QueueOptions{})
			for range i + 1 {
				if _, errs := q.Send(t.Context(), []queue.Message{{Body: `{"k":1}`}}); errs != nil {
					t.Fatal(errs)
				}
			}
			for range 2 { // received once, and then moved
				if _, err := q.Receive(t.Context(), 10, time.Second); err != nil {
					t.Fatal(err)
				}
				<-time.After(2 * time.Second)
			}
		}
		y.send(dead("{}", deadletter.Death{Job: "email", Queue: "mails", Now: time.Now()}, time.Now(), errors.New("x")), queue.Message{Body: "?"})
		h := y.scan(func(o *dlqreplay.ScanOptions) {
			o.JobOf = func(l *dlqreplay.Letter, _ *queue.Message) string {
				return strings.TrimPrefix(l.SourceARN, "arn:aws:sqs:us-east-1:000000000000:")
			}
		})
		defer h.Release(t.Context(), nil)
		p := y.plan(h, nil, dlqreplay.Judge{To: func(l *dlqreplay.Letter) (*dlqreplay.Destination, error) {
			switch {
			case l.SourceARN != "":
				return &dlqreplay.Destination{Name: l.SourceARN[strings.LastIndexByte(l.SourceARN, ':')+1:]}, nil
			case l.Record.Origin != "":
				return &dlqreplay.Destination{Name: l.Record.Origin}, nil
			}
			return nil, errors.New("unknown")
		}})
		if diff := cmp.Diff(map[string]int{"orders": 1, "mails": 3, "images": 3}, p.To); diff != "" {
			t.Errorf("destinations (-want +got):\n%s", diff)
		}
		var moved []string
		for _, g := range p.Groups {
			if g.Kind == dlqreplay.Moved {
				moved = append(moved, fmt.Sprint(g.Fingerprint, " ", g.Job, " ", g.Count))
			}
		}
		if diff := cmp.Diff([]string{"------ images 3", "------ mails 2", "------ orders 1"}, moved); diff != "" {
			t.Errorf("moved groups (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[int]int{0: 7, 1: 1}, p.Deaths); diff != "" {
			t.Errorf("deaths (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]dlqreplay.Skipped{{Why: dlqreplay.SkipNowhere, Text: "unknown", Count: 1}}, p.Skipped); diff != "" {
			t.Errorf("skipped (-want +got):\n%s", diff)
		}
	})
}

// many is a source of n dead letters of 12 causes, and some of none.
func many(n int) *source {
	now := time.Now()
	var causes [14]map[string]queue.Attribute
	for i := range 12 {
		death := deadletter.Death{Job: fmt.Sprintf("job-%d", i%5), Queue: "orders", Build: "v1.9.2", Host: "worker-7c", Now: now}
		causes[i] = dead("{}", death, now.Add(-time.Hour), fmt.Errorf("cause %c: connection to 10.0.%d.1:443 refused", 'a'+i, i)).Attributes
	}
	at := 0
	return &source{receive: func(most int, _ func(int) ([]queue.Delivery, error)) ([]queue.Delivery, error) {
		var ds []queue.Delivery
		for ; len(ds) < most && at < n; at++ {
			body := fmt.Sprintf(`{"order":%d,"customer":"c-%d","lines":[{"sku":"s-%d","n":%d}],"note":%q}`, at, at%977, at%313, at%9, strings.Repeat("n", 300))
			ds = append(ds, queue.Delivery{
				Message: queue.Message{Body: body, Attributes: maps.Clone(causes[at%14])}, MessageID: fmt.Sprintf("00000000-0000-0000-0000-%012d", at),
				Handle: queue.ReceiptHandle(strings.Repeat("h", 350) + fmt.Sprint(at)), Received: now, Deadline: now.Add(10 * time.Minute),
				Receives: 2, Sent: now, FirstReceived: now,
			})
		}
		return ds, nil
	}}
}

// What it takes is reported; that it takes seconds and not minutes is all that is asserted, by the time
// that a test may run.
func TestTwelveCausesAmongAHundredThousandLetters(t *testing.T) {
	n := hundredThousand
	if testing.Short() {
		n = 10_000
	}
	from := many(n)
	from.Source = nil
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	h, err := dlqreplay.Scan(t.Context(), dlqreplay.ScanOptions{
		DLQ: dlqreplay.DLQ{Name: "orders-dlq", Queue: from, Hold: 10 * time.Minute, Retention: time.Hour}, Loops: 1, SpoolDir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	scanned := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&after)
	plan := func(f dlqreplay.Filter, j dlqreplay.Judge) (*dlqreplay.Plan, time.Duration) {
		began := time.Now()
		p, err := h.Plan(t.Context(), f, j, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return p, time.Since(began)
	}
	p, took := plan(nil, dlqreplay.Judge{MaxDeaths: 3})
	if len(p.Groups) != 13 || p.Scanned != n || len(p.Selected) != n {
		t.Errorf("%d groups, %d scanned, %d selected", len(p.Groups), p.Scanned, len(p.Selected))
	}
	whered, took2 := plan(dlqreplay.Filter{{Key: "where", Value: `.body.customer == "c-5"`}}, dlqreplay.Judge{})
	if want := (n + 971) / 977; whered.Matched < want-1 || whered.Matched > want+1 {
		t.Errorf("%d match, want about %d", whered.Matched, want)
	}
	t.Logf("%d letters: made and scanned in %s, %d MiB more on the heap, planned in %s, with an expression in %s",
		n, scanned.Round(time.Millisecond), (int64(after.HeapAlloc)-int64(before.HeapAlloc))>>20, took.Round(time.Millisecond), took2.Round(time.Millisecond))
	from.hide = func([]queue.ReceiptHandle, []time.Duration, func() []error) []error { return nil }
	if back := h.Release(t.Context(), nil); back.Released != n {
		t.Errorf("given back: %+v", back)
	}
}
