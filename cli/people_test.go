package cli

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRecordsForPeopleAreOneShortLine(t *testing.T) {
	var out strings.Builder
	log := slog.New(&peopleHandler{to: &out, level: slog.LevelInfo, column: &column{}, mu: &sync.Mutex{}}).With("queue", "email", "job", "email")
	log.Debug("not shown")
	log.Warn("job failed: the message comes back", "message_id", "m-1", "receive_count", 1, "attempt", 1,
		"elapsed", 1_234_567*time.Nanosecond, "err", errors.New("answer 451\n4.3.0"), "class", "smtp_451", "delay", 1634*time.Millisecond)
	log.Error("not dead-lettered")
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	want := []string{
		"email     job failed: the message comes back · answer 451 4.3.0 · message id m-1 · attempt 1 · elapsed 1ms · class smtp_451 · delay 1.6s",
		"email     not dead-lettered !",
	}
	if len(lines) != len(want) {
		t.Fatalf("%d lines:\n%s", len(lines), out.String())
	}
	for i, line := range lines {
		if _, rest, _ := strings.Cut(line, "  "); rest != want[i] {
			t.Errorf("line %d\n got %q\nwant %q", i, rest, want[i])
		}
	}
}

// What is told begins in one column, whatever the queues are called.
func TestRecordsForPeopleBeginInOneColumn(t *testing.T) {
	var out strings.Builder
	c := &column{}
	c.widen("invitations-audit", "mail")
	log := slog.New(&peopleHandler{to: &out, level: slog.LevelInfo, column: c, mu: &sync.Mutex{}})
	log.Info("running")
	log.Info("settled", "queue", "mail")
	log.Info("settled", "queue", "invitations-audit")
	log.Info("confirmed", "path", "/a")
	log.Info("settled", "queue", strings.Repeat("x", 80))
	log.Info("settled", "queue", "mail")
	var got []string
	for line := range strings.Lines(out.String()) {
		_, rest, _ := strings.Cut(line, "  ")
		got = append(got, strings.TrimSuffix(rest, "\n"))
	}
	want := []string{
		"                   running",
		"mail               settled",
		"invitations-audit  settled",
		"/a                 confirmed",
		strings.Repeat("x", 80) + "  settled",
		"mail                              settled",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
