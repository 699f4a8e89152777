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
