package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/dlqreplay"
)

func ordersView(width int) *planView {
	return &planView{
		Plan: orders(), Sources: []string{"orders"}, Pace: usualPace(), Build: "v1.9.2", Verb: "replay", Width: width, Now: noon,
		Dies: 250 * time.Second, Attempts: 5,
	}
}

const wide = `orders-dlq  →  orders            standard · 51 messages · scanned 51 in 0.4s (each receive count +1)

  GROUP   COUNT  JOB        WHY                                       FIRST   LAST    EXPIRES
  a3f9c1     42  email      dial tcp <ip>:587: i/o timeout            02:11   04:37   9d
  77be02      7  thumbnail  decode: invalid image header (permanent)  03:02   03:40   9d
  ------      2  email      no record: worker died or timed out       02:14   02:20   6h   !

  check    44 pass on this build (v1.9.2) · 7 thumbnail still fail: "format: webp unsupported" (skipped)
  deaths   49 recorded, all first · 2 unknown

Would replay 44 to orders: canary 5, then 50/s, about 1s with 2m to settle.
A message needs up to 4m10s to die again (5 attempts): within --settle 2m, returns are only the first of them.
`

const narrow = `orders-dlq  →  orders
  standard · 51 messages · scanned 51 in 0.4s (each receive
  count +1)

  GROUP   COUNT  JOB        WHY                  EXPIRES
  a3f9c1     42  email      dial tcp <ip>:587:…  9d
  77be02      7  thumbnail  decode: invalid im…  9d
  ------      2  email      no record: worker…   6h   !

  check    44 pass on this build (v1.9.2) · 7 thumbnail
           still fail: "format: webp unsupported" (skipped)
  deaths   49 recorded, all first · 2 unknown

Would replay 44 to orders: canary 5, then 50/s, about 1s
  with 2m to settle.
A message needs up to 4m10s to die again (5 attempts):
  within --settle 2m, returns are only the first of them.
`

func TestAPlanIsDrawnCalmly(t *testing.T) {
	for width, want := range map[int]string{0: wide, 140: wide, 60: narrow} {
		got := ordersView(width).text()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("width %d (-want +got):\n%s", width, diff)
		}
		for l := range strings.Lines(got) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(l, "\n")); width > 0 && n > width {
				t.Errorf("width %d: %d columns: %s", width, n, l)
			}
		}
		if strings.ContainsRune(got, '\x1b') {
			t.Errorf("width %d: colours", width)
		}
	}
}

func TestNothingOfAMessageMovesTheCursor(t *testing.T) {
	v := ordersView(0)
	v.Groups[0].Reason = "boom\x1b[2J\r\nsecond\u202eline"
	v.Groups[0].Job = "em\x07ail"
	got := v.text()
	if strings.ContainsAny(got, "\x1b\r\x07\u202e") || strings.Count(got, "\n") != strings.Count(wide, "\n") {
		t.Errorf("%q", got)
	}
}

func TestTheNextCommandIsForTheLargestCause(t *testing.T) {
	v := ordersView(0)
	for _, row := range []struct {
		change func()
		want   string
	}{
		{func() {}, "worker replay-dlq orders --group a3f9c1 --go"},
		{func() { v.Groups = v.Groups[2:] }, "worker replay-dlq orders --go"},
		{func() { v.Plan = orders(); v.Groups[0], v.Groups[2] = v.Groups[2], v.Groups[0] }, "worker replay-dlq orders --unannotated --go"},
		{func() { v.Plan = orders(); v.Filter = dlqreplay.Filter{{Key: "job", Value: "email"}} }, "worker replay-dlq orders --go"},
	} {
		row.change()
		if got := strings.Join(v.next([]string{"worker", "replay-dlq", "orders"}), " "); got != row.want {
			t.Errorf("next is %q, want %q", got, row.want)
		}
	}
}

func TestWhatAPlanSaysOfFewAndOfNone(t *testing.T) {
	for _, row := range []struct {
		change func(p *planView)
		want   []string
	}{
		{func(v *planView) { v.Plan = &dlqreplay.Plan{DLQ: "orders-dlq", Complete: true} }, []string{"orders-dlq is empty: nothing to replay."}},
		{func(v *planView) { v.Matched, v.Selected = 0, nil }, []string{"Nothing matches: 51 messages of orders-dlq looked at."}},
		{func(v *planView) { v.Selected = nil }, []string{"Would replay nothing: all 51 that match are skipped."}},
		{func(v *planView) { v.FIFO, v.MessageGroups, v.Total, v.Scanned = true, 14, 220, 61 }, []string{"FIFO · 220 messages · 14 groups, visible 61 of 220"}},
		{func(v *planView) { v.Elsewhere = 3 }, []string{"  3 more were in the hands of somebody else when the scan began."}},
		{func(v *planView) { v.Complete, v.Total = false, 90 }, []string{"  These are not all of them: 51 of about 90 were seen."}},
		{func(v *planView) { v.To = map[string]int{"a": 40, "b": 4} }, []string{"Would replay 44 to a (40) and b (4): canary"}},
		{func(v *planView) { v.Pace = dlqreplay.Pace{} }, []string{"Would replay 44 to orders: as fast as SQS.\n"}},
		{func(v *planView) { v.Filter = dlqreplay.Filter{{Key: "job", Value: "email"}} }, []string{"  GROUP   SELECTED  COUNT  JOB", "  a3f9c1        42     42  email"}},
		{func(v *planView) {
			v.Skipped = []dlqreplay.Skipped{
				{Why: dlqreplay.SkipExhausted, Job: "email", Count: 3},
				{Why: dlqreplay.SkipNowhere, Text: "it does not say from which of a, b", Count: 1},
				{Why: dlqreplay.SkipAsks, Job: "charge", Count: 2},
				{Why: dlqreplay.SkipGroup, Count: 4},
				{Why: dlqreplay.SkipTooLarge, Count: 1},
				{Why: dlqreplay.SkipBegun, Job: "email", Text: "r-x7k2m9pq", Count: 40},
			}
		}, []string{
			"  skipped  3 email exhausted: died too often (--max-deaths)\n", "  skipped  1 nobody knows where to (--to QUEUE): it does not say from which of a, b\n",
			"  skipped  2 charge the job wants to be asked (--job charge)\n", "  skipped  4 behind a message of their group that stays (--break-order)\n",
			"  skipped  40 email sent by r-x7k2m9pq, which did not end: replay-dlq resume r-x7k2m9pq\n",
		}},
		{func(v *planView) { v.Deaths = map[int]int{1: 40, 3: 2} }, []string{"  deaths   42 recorded (40 × 1, 2 × 3)\n"}},
	} {
		v := ordersView(0)
		row.change(v)
		for _, want := range row.want {
			if got := v.text(); !strings.Contains(got, want) {
				t.Errorf("no %q in\n%s", want, got)
			}
		}
	}
}

func ordersReport() *reportView {
	return &reportView{
		Report: &dlqreplay.Report{
			ReplayID: "r-01jd", Outcome: dlqreplay.Completed, Selected: 42, Replayed: 42, Watched: 2 * time.Minute,
		},
		Verb: "replay", DLQ: "orders-dlq", Remain: 9, Build: "v1.9.2", Resume: "worker replay-dlq resume r-01jd", Now: noon,
	}
}

func TestAReportSaysWhatBecameOfEverything(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(v *reportView)
		code   int
		want   string
	}{
		{"whole", func(*reportView) {}, ExitDone, `
  done     42 replayed · 0 failed · 0 returned in 2m · 0 ambiguous
  left     9 in orders-dlq
`},
		{"stopped by the canary", func(v *reportView) {
			*v.Report = dlqreplay.Report{Outcome: dlqreplay.Stopped, Selected: 42, Replayed: 5, Left: 37, Returned: 3, Returns: []dlqreplay.Return{
				{Reason: "smtp: 535 authentication failed", Build: "v1.9.1", Host: "worker-7c"},
				{Reason: "smtp: 535 authentication failed", Build: "v1.9.1", Host: "worker-7c"},
				{Reason: "smtp: 535 authentication failed", Build: "v1.9.1", Host: "worker-7c"},
			}}
			v.Remain = 49
		}, exitStopped, `
Stopped. 5 of 42 sent, 37 untouched and released. The fix is not in, or not in everywhere:
  3 returned from build v1.9.1 (host worker-7c): smtp: 535 authentication failed
  2 succeeded or are still running
Go on when it is in: worker replay-dlq resume r-01jd
  left     49 in orders-dlq
`},
		{"interrupted", func(v *reportView) {
			*v.Report = dlqreplay.Report{Outcome: dlqreplay.Interrupted, Selected: 1000, Replayed: 160, Left: 840, Released: 840}
			v.Remain = -1
		}, exitSignal, `
Interrupted: 160 replayed, 840 released. Resume: worker replay-dlq resume r-01jd
`},
		{"twice interrupted", func(v *reportView) {
			*v.Report = dlqreplay.Report{
				Outcome: dlqreplay.Interrupted, Selected: 1000, Replayed: 160, Left: 840, Hidden: 840, HiddenUntil: noon.Add(2 * time.Minute),
			}
			v.Remain = -1
		}, exitSignal, `
Interrupted: 160 replayed, 0 released. Resume: worker replay-dlq resume r-01jd
  hidden   840 could not be released: orders-dlq shows them again at 12:02:00
`},
		{"refused", func(v *reportView) {
			v.Replayed, v.Failed, v.Remain = 40, 2, 11
			v.Failures = []dlqreplay.Failures{{Why: "send to orders: rejected: InvalidMessageContents", Count: 2, Example: "m7"}}
		}, exitLeft, `
  done     40 replayed · 2 failed · 0 returned in 2m · 0 ambiguous
  refused  2: send to orders: rejected: InvalidMessageContents (such as m7)
  left     11 in orders-dlq
`},
		{"skipped", func(v *reportView) { v.Skipped = 2 }, exitLeft, `
  done     42 replayed · 0 failed · 0 returned in 2m · 0 ambiguous
  left     9 in orders-dlq · 2 of them matched and were skipped
`},
		{"a full disk", func(v *reportView) {
			*v.Report = dlqreplay.Report{Outcome: dlqreplay.Failed, Why: "journal: no space left on device", Selected: 42, Replayed: 10, Left: 32}
			v.Remain = 41
		}, exitLeft, `
Failed: journal: no space left on device.
  done     10 replayed · 0 failed · 0 returned · 0 ambiguous · 32 not tried
  left     41 in orders-dlq
`},
		{"undeleted", func(v *reportView) { v.Undeleted = 1; v.Remain = 10 }, exitLeft, `
  done     42 replayed · 0 failed · 0 returned in 2m · 0 ambiguous
  twice    1 were sent and could not be deleted here. Delete them: worker replay-dlq resume r-01jd
  left     10 in orders-dlq
`},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := ordersReport()
			row.change(v)
			if diff := cmp.Diff(strings.TrimPrefix(row.want, "\n"), v.text()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got := v.code(); got != row.code {
				t.Errorf("exit code %d, want %d", got, row.code)
			}
		})
	}
}

// aRun is what a run tells, second by second.
func aRun() []dlqreplay.Event {
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	events := []dlqreplay.Event{
		{At: at(0), Kind: dlqreplay.Scanning, Done: 51, Total: 51},
		{At: at(0), Kind: dlqreplay.Scanned, Done: 51, Took: 400 * time.Millisecond},
		{At: at(1), Kind: dlqreplay.JournalAt, Path: "~/.local/state/worker/replay/r-01jd.jsonl"},
		{At: at(1), Kind: dlqreplay.Canary, Done: 5, Total: 5},
	}
	for s := 1; s < 120; s++ {
		events = append(events, dlqreplay.Event{At: at(s), Kind: dlqreplay.Settling, Phase: "canary", Until: at(121)})
	}
	events = append(events, dlqreplay.Event{At: at(121), Kind: dlqreplay.Replaying, Done: 5, Total: 42, Rate: 50})
	for s := 122; s < 130; s++ {
		events = append(events, dlqreplay.Event{At: at(s), Kind: dlqreplay.Replaying, Done: 5 + 4*(s-121), Total: 42, Rate: 4, Backlog: 12})
	}
	return append(events,
		dlqreplay.Event{At: at(130), Kind: dlqreplay.Replaying, Done: 42, Total: 42, Rate: 4},
		dlqreplay.Event{At: at(131), Kind: dlqreplay.Returned, Letter: &dlqreplay.Return{Reason: "smtp: 535", Fingerprint: "c09d11"}},
		dlqreplay.Event{At: at(131), Kind: dlqreplay.Returned, Letter: &dlqreplay.Return{Reason: "smtp: 535", Fingerprint: "c09d11"}},
	)
}

func TestWithoutATerminalALineComesEveryFiveSeconds(t *testing.T) {
	var out, live bytes.Buffer
	c := &screen{out: &out, live: &live, verb: "replay", known: map[string]bool{"a3f9c1": true}}
	for _, e := range aRun() {
		c.event(e)
	}
	c.rest()
	if live.Len() > 0 {
		t.Errorf("drawn without a terminal: %q", live.String())
	}
	text := out.String()
	for _, want := range []string{
		"journal ~/.local/state/worker/replay/r-01jd.jsonl\n",
		"  canary   5 sent\n  canary   5 sent · settling 2m · 0 returned\n  canary   5 sent · settling 1m55s · 0 returned\n",
		"  replay   5/42  50/s  eta 1s   returned 0\n  replay   25/42  4/s  eta 4s   returned 0   backlog 12\n",
		"  replay   42/42  4/s   returned 0\n  returned smtp: 535 (new group c09d11)\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "\n"); n > 40 {
		t.Errorf("%d lines for 131 s\n%s", n, text)
	}
	if strings.Count(text, "smtp: 535") != 1 || strings.ContainsAny(text, "\r\x1b") {
		t.Errorf("%q", text)
	}
}

func TestOnATerminalABarMoves(t *testing.T) {
	for _, width := range []int{100, 60} {
		var out bytes.Buffer
		c := &screen{out: &out, live: &out, bar: true, verb: "replay", width: width}
		for _, e := range aRun() {
			c.event(e)
		}
		c.rest()
		text := out.String()
		if !strings.Contains(text, "  canary   5 sent · settling") || !strings.Contains(text, "returned 0") {
			t.Errorf("width %d: %q", width, text)
		}
		if bar := strings.Contains(text, "██"); bar != (width == 100) {
			t.Errorf("width %d: bar %v\n%q", width, bar, text)
		}
		for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\r' || r == '\n' }) {
			if n := utf8.RuneCountInString(part); n > width {
				t.Errorf("width %d: a line of %d: %q", width, n, part)
			}
		}
		if strings.ContainsRune(text, '\x1b') {
			t.Errorf("width %d: an escape sequence: %q", width, text)
		}
	}
}

func TestQuietSaysTheOutcomeOnly(t *testing.T) {
	var out bytes.Buffer
	c := &screen{out: &out, live: &out, bar: true, quiet: true, verb: "replay"}
	for _, e := range aRun() {
		c.event(e)
	}
	c.rest()
	c.must(ordersReport().text())
	if want := ordersReport().text(); out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestTextIsBrokenAtItsWords(t *testing.T) {
	if got, want := line("check", "one two three four five", 20), "  check    one two\n           three\n           four five"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for in, want := range map[string]string{"a3f9c1": "a3f9c1", "<2": "'<2'", "it's": `'it'\''s'`, "": "''", ".body.x == 1": "'.body.x == 1'"} {
		if got := shellWord(in); got != want {
			t.Errorf("shellWord(%q) = %s, want %s", in, got, want)
		}
	}
	for in, want := range map[time.Duration]string{
		0: "0s", 400 * time.Millisecond: "0.4s", 6 * time.Second: "6s", 41 * time.Second: "41s", 250 * time.Second: "4m10s", 2 * time.Minute: "2m",
		90 * time.Minute: "1h30m", 9 * 24 * time.Hour: "9d",
	} {
		if got := lasting(in); got != want {
			t.Errorf("lasting(%v) = %s, want %s", in, got, want)
		}
	}
}
