//go:build linux || darwin || freebsd

package journal_test

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stationmaster/worker/internal/journal"
)

var (
	childOf   = flag.String("journal.child", "", "append to this journal until killed; for this package's own tests")
	childSize = flag.Uint64("journal.limit", 0, "let no file of the child grow beyond this many bytes")
)

// TestMain is also the program of the child processes that tests kill.
func TestMain(m *testing.M) {
	flag.Parse()
	if *childOf == "" {
		m.Run()
		return
	}
	out := os.NewFile(3, "acks")
	if err := appendForever(*childOf, *childSize, out); err != nil {
		fmt.Fprintf(out, "error %v\n", err)
	}
}

// appendForever appends from eight goroutines and says what was acknowledged, until it is killed or fails.
func appendForever(path string, limit uint64, out io.Writer) error {
	if limit > 0 {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
			return err
		}
	}
	l, err := journal.Open(path, func([]byte) error { return nil })
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	failed := make(chan error, 8)
	for g := range 8 {
		all.Go(func() {
			for i := 0; ; i++ {
				line := fmt.Sprintf(`{"pid":%d,"g":%d,"i":%d,"fill":%q}`, os.Getpid(), g, i, strings.Repeat("x", i%200))
				if err := l.Append([]byte(line)); err != nil {
					failed <- err
					return
				}
				fmt.Fprintf(out, "ack %s\n", line) // one write: it is never torn
			}
		})
	}
	all.Wait()
	err = <-failed
	for range 7 {
		if next := <-failed; next.Error() != err.Error() {
			return fmt.Errorf("two errors: %w and %w", err, next)
		}
	}
	return err
}

// child runs the child until it has acknowledged n lines, kills it, and returns all that it said.
func child(t *testing.T, path string, kill int, args ...string) (acks []string, said string) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, append([]string{"-journal.child=" + path}, args...)...)
	cmd.ExtraFiles = []*os.File{in}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if line, ok := strings.CutPrefix(lines.Text(), "ack "); ok {
			acks = append(acks, line)
		} else {
			said += lines.Text()
		}
		if len(acks) == kill {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // it was killed
	return acks, said
}

func TestNothingThatWasAcknowledgedIsLostToAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	l, err := journal.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var acked []string
	for trial := range 20 {
		acks, said := child(t, path, 1+trial*7)
		if said != "" || len(acks) < 1+trial*7 {
			t.Fatalf("trial %d: %d acknowledged; it said %q", trial, len(acks), said)
		}
		acked = append(acked, acks...)
	}
	each, got := collect()
	l, err = journal.Open(path, each)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // nothing was appended
	has := map[string]int{}
	for _, line := range *got {
		has[line]++
	}
	for _, line := range acked {
		if has[line] != 1 {
			t.Errorf("%s is there %d times", line, has[line])
		}
	}
	t.Logf("%d acknowledged, %d in the journal", len(acked), len(*got))
}

func TestAFileThatMayNotGrowIsAClearError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	l, err := journal.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	acks, said := child(t, path, -1, "-journal.limit=20000")
	if want := "error " + path + ": write: file too large: make room in " + filepath.Dir(path); said != want {
		t.Errorf("it said %q, want %q", said, want)
	}
	each, got := collect()
	l, err = journal.Open(path, each)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // nothing was appended
	has := map[string]bool{}
	for _, line := range *got {
		has[line] = true
	}
	for _, line := range acks {
		if !has[line] {
			t.Errorf("%s is lost", line)
		}
	}
	if len(acks) < 10 {
		t.Errorf("%d lines fit into 20000 bytes", len(acks))
	}
}
