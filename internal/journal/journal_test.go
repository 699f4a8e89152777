package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/journal"
)

// lines returns n different lines.
func lines(n int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = fmt.Appendf(nil, `{"n":%d}`, i)
	}
	return all
}

func texts(lines [][]byte) []string {
	all := make([]string, len(lines))
	for i, line := range lines {
		all[i] = string(line)
	}
	return all
}

// collect returns a func for Open and Read, and what it was called with.
func collect() (each func([]byte) error, got *[]string) {
	got = &[]string{}
	return func(line []byte) error {
		*got = append(*got, string(line))
		return nil
	}, got
}

func TestWhatWasAppendedIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	l, err := journal.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	want := lines(5)
	if err := l.Append(want[:3]...); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	each, got := collect()
	l, err = journal.Open(path, each)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(texts(want[:3]), *got); diff != "" {
		t.Error(diff)
	}
	if err := l.Write(want[3:]...); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	each, got = collect()
	if err := journal.Read(path, each); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(texts(want), *got); diff != "" {
		t.Error(diff)
	}
}

// written returns the text of a journal of n lines.
func written(t testing.TB, n int) []byte {
	t.Helper()
	var file memory
	l := journal.New("x", &file)
	if err := errors.Join(l.Append(lines(n)...), l.Close()); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// memory is a File that counts and fails as it is told.
type memory struct {
	bytes.Buffer
	syncs  int
	slow   time.Duration
	fails  error // of the next writes
	closed bool
}

func (m *memory) Write(p []byte) (int, error) {
	if m.fails != nil {
		n, _ := m.Buffer.Write(p[:len(p)/2])
		return n, m.fails
	}
	return m.Buffer.Write(p)
}

func (m *memory) Sync() error {
	m.syncs++
	if m.slow > 0 {
		<-time.After(m.slow)
	}
	return nil
}

func (m *memory) Close() error {
	m.closed = true
	return nil
}

func TestATornLastLineIsCutOffAtEveryByte(t *testing.T) {
	text := written(t, 4)
	path := filepath.Join(t.TempDir(), "r.jsonl")
	for n := range len(text) + 1 {
		if err := os.WriteFile(path, text[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		whole := bytes.Count(text[:n], []byte("\n"))
		each, got := collect()
		l, err := journal.Open(path, each)
		if err != nil {
			t.Fatalf("cut at byte %d: %v", n, err)
		}
		more := []byte(`{"more":1}`)
		if err := errors.Join(l.Append(more), l.Close()); err != nil {
			t.Fatal(err)
		}
		want := append(texts(lines(4)[:whole]), string(more))
		if diff := cmp.Diff(want[:whole], *got, equateEmpty); diff != "" {
			t.Fatalf("cut at byte %d: %s", n, diff)
		}
		each, got = collect()
		if err := journal.Read(path, each); err != nil {
			t.Fatalf("cut at byte %d, then appended to: %v", n, err)
		}
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Fatalf("cut at byte %d, then appended to: %s", n, diff)
		}
	}
}

var equateEmpty = cmp.Transformer("empty", func(s []string) string { return strings.Join(s, "\n") })

func TestBlocksThatNeverReachedTheDiskAreTorn(t *testing.T) {
	text := written(t, 3)
	last := bytes.LastIndexByte(text[:len(text)-1], '\n') + 1
	for name, tail := range map[string]string{
		"all of them":    strings.Repeat("\x00", 4096),
		"all but one":    strings.Repeat("\x00", 10) + string(text[last+10:]),
		"none but zeros": "\x00",
	} {
		path := filepath.Join(t.TempDir(), "r.jsonl")
		if err := os.WriteFile(path, append(bytes.Clone(text[:last]), tail...), 0o600); err != nil {
			t.Fatal(err)
		}
		each, got := collect()
		l, err := journal.Open(path, each)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(texts(lines(2)), *got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestADamagedLineIsRefusedWithItsNumber(t *testing.T) {
	text := written(t, 4)
	refused := func(what string, changed []byte, line int) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "r.jsonl")
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := journal.Open(path, func([]byte) error { return nil })
		var damaged *journal.DamagedError
		if !errors.As(err, &damaged) || damaged.Line != line || !strings.HasPrefix(err.Error(), path) {
			t.Fatalf("%s: %v, want line %d of the file", what, err, line)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, changed) {
			t.Fatalf("%s: the file was changed (%v)", what, err)
		}
	}
	for n := range len(text) - 1 { // without its last byte the last line is torn
		changed := bytes.Clone(text)
		changed[n] ^= 1
		refused(fmt.Sprint("byte ", n), changed, bytes.Count(text[:n], []byte("\n"))+1)
	}
	all := bytes.SplitAfter(text, []byte("\n"))
	refused("a line taken out", bytes.Join([][]byte{all[0], all[2], all[3]}, nil), 2)
	refused("the first line taken out", bytes.Join(all[1:], nil), 1)
	refused("two lines exchanged", bytes.Join([][]byte{all[0], all[2], all[1], all[3]}, nil), 2)
	refused("a line twice", bytes.Join([][]byte{all[0], all[1], all[1], all[2]}, nil), 3)
}

func TestAppendsShareTheirFsyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := &memory{slow: time.Millisecond}
		l := journal.New("x", file)
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				for range 50 {
					if err := l.Append([]byte(`{"a":1}`)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		appended := file.syncs
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if appended > 128 {
			t.Errorf("%d fsyncs for 3200 appends of 64 goroutines, want about one per round of theirs", appended)
		}
		t.Logf("%d fsyncs for 3200 appends of 64 goroutines", appended)
		if got := bytes.Count(file.Bytes(), []byte("\n")); got != 3200 {
			t.Errorf("%d lines, want 3200", got)
		}
	})
}

func TestAnAppendReturnsOnlyOnceItIsOnTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := &memory{slow: time.Hour}
		l := journal.New("x", file)
		began, done := time.Now(), make(chan time.Duration)
		if err := l.Write([]byte(`{"a":1}`)); err != nil || time.Since(began) != 0 {
			t.Errorf("Write waited for %v (%v)", time.Since(began), err)
		}
		synctest.Wait()
		if file.syncs != 0 || file.Len() == 0 {
			t.Errorf("%d syncs and %d bytes: what nobody waits for is written and not synced", file.syncs, file.Len())
		}
		go func() {
			if err := l.Append([]byte(`{"a":2}`)); err != nil {
				t.Error(err)
			}
			done <- time.Since(began)
		}()
		if took := <-done; took != time.Hour {
			t.Errorf("Append took %v, want the hour of the fsync", took)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestTheFirstErrorIsFinal(t *testing.T) {
	file := &memory{}
	l := journal.New("/state/r.jsonl", file)
	if err := l.Append(lines(2)...); err != nil {
		t.Fatal(err)
	}
	file.fails = &fs.PathError{Op: "write", Path: "/tmp/other", Err: syscall.ENOSPC}
	err := l.Append([]byte(`{"lost":1}`))
	if want := "/state/r.jsonl: write: no space left on device: make room in /state"; err == nil || err.Error() != want || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v, want %s", err, want)
	}
	file.fails = nil // room again, too late: what is in the file now ends inside a line
	before := file.Len()
	if again := l.Append([]byte(`{"after":1}`)); !errors.Is(again, syscall.ENOSPC) {
		t.Errorf("error %v, want the first one", again)
	}
	if err := l.Write([]byte(`{"after":1}`)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v, want the first one", err)
	}
	if err := l.Close(); !errors.Is(err, syscall.ENOSPC) || !file.closed {
		t.Errorf("Close: %v (closed: %v), want the first error", err, file.closed)
	}
	if file.Len() != before {
		t.Errorf("%d bytes were written after the error", file.Len()-before)
	}
}

func TestASecondOpenerIsToldWhoIsTheFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	l, err := journal.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = journal.Open(path, func([]byte) error { return nil })
	if want := fmt.Sprintf("in use by process %d", os.Getpid()); !errors.Is(err, journal.ErrInUse) || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
	if who, yes := journal.InUse(path); !yes || !strings.Contains(who, fmt.Sprint(os.Getpid())) {
		t.Errorf("InUse says %q, %v", who, yes)
	}
	if err := journal.Read(path, func([]byte) error { return nil }); err != nil {
		t.Errorf("reading beside the writer: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, yes := journal.InUse(path); yes {
		t.Error("in use after Close")
	}
	if _, err := journal.Create(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create over a journal: %v, want fs.ErrExist", err)
	}
	if err := l.Append([]byte(`{"a":1}`)); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("append after Close: %v, want ErrClosed", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func TestOnlyObjectsOnOneLineAreAppended(t *testing.T) {
	file := &memory{}
	l := journal.New("x", file)
	for _, line := range []string{"", "{}", "x", "[1]", "{\"a\":\n1}", `{"a":1`} {
		if err := l.Append([]byte(`{"a":1}`), []byte(line)); err == nil {
			t.Errorf("%q was taken", line)
		}
	}
	if err := l.Close(); err != nil || file.Len() != 0 {
		t.Errorf("%d bytes were written (%v)", file.Len(), err)
	}
}

func TestAskingIsInNobodysWay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	l, err := journal.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var asking sync.WaitGroup
	for range 2 {
		asking.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
					journal.InUse(path)
				}
			}
		})
	}
	for range 50 {
		l, err := journal.Open(path, func([]byte) error { return nil })
		if err != nil {
			t.Error(err)
			break
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	asking.Wait()
}

func FuzzReader(f *testing.F) {
	f.Add(written(f, 2))
	f.Add([]byte(`{"n":0,"crc":"00000000"}` + "\n"))
	f.Add([]byte("\x00\n"))
	f.Add([]byte(`,"crc":"00000000"}` + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var again memory
		l := journal.New("x", &again)
		for r := journal.NewReader(bytes.NewReader(text)); ; {
			line, err := r.Next()
			if err != nil {
				break
			}
			if err := l.Append(bytes.Clone(line)); err != nil {
				t.Fatalf("read what cannot be written: %v", err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(text, again.Bytes()) {
			t.Errorf("read %q as %q", text, again.Bytes())
		}
	})
}
