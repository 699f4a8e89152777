package cli_test

import (
	"strings"
	"testing"
)

const ordered = `
[queues.tell]
job = "tell"
fifo = true
`

func TestEachOfManyHasADeduplicationIDOfItsOwn(t *testing.T) {
	o := newOutside(t)
	file := config(t, ordered)
	o.apply(t, file)
	if said, code := o.runs(t, file, "send", "tell", "x", "--group-id", "g", "--dedup-id", "d", "--count", "3"); code != 0 {
		t.Fatalf("send says %q, exit code %d", said, code)
	}
	if got := o.counts(t, "tell.fifo"); got.Visible != 3 {
		t.Errorf("%d messages, want 3", got.Visible)
	}
}

func TestADelayIsSentOrRefused(t *testing.T) {
	o := newOutside(t)
	file := config(t, ordered+"[queues.mail]\njob = \"tell\"\n")
	o.apply(t, file)
	for _, row := range []struct {
		to, delay, want string
		code            int
	}{
		{"tell", "1h", "delay 1h0m0s: rejected: FIFO has no delay for one message", 1},
		{"mail", "13h", "--delay 13h0m0s: must be between 0s and 12h0m0s", 2},
		{"mail", "-1s", "--delay -1s: must be between 0s and 12h0m0s", 2},
		{"mail", "10m", "sent ", 0},
		{"mail", "2h", "sent ", 0},
	} {
		said, code := o.runs(t, file, "send", row.to, "x", "--group-id", "g", "--delay", row.delay)
		if code != row.code || !strings.Contains(said, row.want) {
			t.Errorf("%s %s: exit code %d, says %q, want %d and %q", row.to, row.delay, code, said, row.code, row.want)
		}
	}
	// SQS itself keeps back what it can; the longer delay waits for a worker to hide it.
	if got := o.counts(t, "mail"); got.Delayed != 1 || got.Visible != 1 {
		t.Errorf("%d delayed and %d visible messages, want 1 and 1", got.Delayed, got.Visible)
	}
}

func TestWhatFIFOAsksForIsNamedAsAFlag(t *testing.T) {
	o := newOutside(t)
	file := config(t, ordered)
	o.apply(t, file)
	for _, row := range []struct {
		want  string
		flags []string
	}{
		{"; give it with --group-id\n", []string{"--dedup-id", "d"}},
		{"; give it with --dedup-id\n", []string{"--group-id", "g"}},
		{"; give it with --dedup-id: 0 of 2 were accepted\n", []string{"--group-id", "g", "--count", "2"}},
	} {
		said, code := o.runs(t, file, append([]string{"send", "tell", "x"}, row.flags...)...)
		if code != 1 || !strings.HasSuffix(said, row.want) {
			t.Errorf("%v: exit code %d, says %q, want %q at the end", row.flags, code, said, row.want)
		}
	}
}
