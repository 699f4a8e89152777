package dlqreplay_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/internal/journal"
	"github.com/stationmaster/worker/queue"
)

// run is the header of a run that deletes what it has exported.
func run(id string) dlqreplay.Header {
	h := header()
	h.Action, h.ReplayID = dlqreplay.ActionDiscard, id
	return h
}

// take exports letters and fails the test when they are not taken.
func take(t *testing.T, e *dlqreplay.Exporter, ls []*dlqreplay.Letter, ms []queue.Message) {
	t.Helper()
	made, errs := e.Take(t.Context(), ls, ms)
	if errs != nil {
		t.Fatal(errors.Join(errs...))
	}
	for i, l := range ls {
		if made[i] != l.MessageID {
			t.Fatalf("id %q of %q, want its own", made[i], l.MessageID)
		}
	}
}

// holds checks that a file has just these messages, in any order.
func holds(t *testing.T, path string, ms ...queue.Message) {
	t.Helper()
	_, _, got, err := dlqreplay.ReadAll(path)
	must(t, err)
	byBody := cmpopts.SortSlices(func(a, b queue.Message) bool { return a.Body < b.Body })
	if diff := cmp.Diff(ms, got, byBody, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsTakenIsOnTheDiskAndTheFileAppearsAtTheEnd(t *testing.T) {
	for _, end := range []string{".jsonl", ".jsonl.zst"} {
		t.Run(end, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x"+end)
			e, err := dlqreplay.NewExporter(path, run("r-1"))
			must(t, err)
			ls, ms := letters(320)
			var all sync.WaitGroup
			for i := 0; i < len(ls); i += 10 {
				all.Go(func() { take(t, e, ls[i:i+10], ms[i:i+10]) })
			}
			all.Wait()
			take(t, e, ls[:10], ms[:10]) // again: not twice in the file
			if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the file has its name before its end: %v", err)
			}
			must(t, e.Close())
			holds(t, path, ms...)
			if e.Count() != len(ls) {
				t.Errorf("count %d, want %d", e.Count(), len(ls))
			}
			info, err := os.Stat(path)
			must(t, err)
			if info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, want that only its owner reads it", info.Mode())
			}
			left, err := os.ReadDir(filepath.Dir(path))
			must(t, err)
			if len(left) != 1 {
				t.Errorf("%v stay behind", left)
			}
		})
	}
}

func TestAnExportThatWasCutAtAnyByteGoesOn(t *testing.T) {
	for _, end := range []string{".jsonl", ".jsonl.zst"} {
		t.Run(end, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "x"+end)
			e, err := dlqreplay.NewExporter(path, run("r-1"))
			must(t, err)
			ls, ms := letters(3)
			take(t, e, ls[:2], ms[:2])
			info, err := os.Stat(path + ".part")
			must(t, err)
			proved := int(info.Size())
			take(t, e, ls[2:], ms[2:])
			must(t, e.Suspend())
			text, err := os.ReadFile(path + ".part")
			must(t, err)
			for n := proved; n <= len(text); n++ {
				path := filepath.Join(dir, fmt.Sprint(n, end))
				must(t, os.WriteFile(path+".part", text[:n], 0o600))
				e, err := dlqreplay.NewExporter(path, run("r-1"))
				if err != nil {
					t.Fatalf("cut at byte %d: %v", n, err)
				}
				if n < len(text) != (e.Count() == 2) {
					t.Fatalf("cut at byte %d of %d: %d are there", n, len(text), e.Count())
				}
				if n%16 != 0 && n < len(text) {
					must(t, e.Suspend())
					continue
				}
				take(t, e, ls[2:], ms[2:])
				must(t, e.Close())
				holds(t, path, ms...)
			}
		})
	}
}

func TestACrashBetweenTheLastLineAndTheNameIsMended(t *testing.T) {
	ls, ms := letters(2)
	for name, crash := range map[string]func(path string) error{
		"before the name":      func(path string) error { return os.Rename(path, path+".part") },
		"with both names":      func(path string) error { return os.Link(path, path+".part") },
		"after, without a End": func(string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.jsonl")
			e, err := dlqreplay.NewExporter(path, run("r-1"))
			must(t, err)
			take(t, e, ls[:1], ms[:1])
			must(t, e.Close(), crash(path))
			e, err = dlqreplay.NewExporter(path, run("r-1"))
			must(t, err)
			take(t, e, ls, ms)
			must(t, e.Close())
			holds(t, path, ms...)
		})
	}
}

func TestAnUnfinishedExportOfAnotherRunIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	e, err := dlqreplay.NewExporter(path, run("r-1"))
	must(t, err)
	ls, ms := letters(1)
	take(t, e, ls, ms)
	if _, err := dlqreplay.NewExporter(path, run("r-1")); !errors.Is(err, journal.ErrInUse) {
		t.Errorf("a second opener: %v, want ErrInUse", err)
	}
	must(t, e.Suspend())
	before, err := os.ReadFile(path + ".part")
	must(t, err)
	_, err = dlqreplay.NewExporter(path, run("r-2"))
	if err == nil || !strings.Contains(err.Error(), "worker replay-dlq resume r-1") {
		t.Errorf("another run: %v, want how to finish the first", err)
	}
	if err := dlqreplay.WriteFile(t.Context(), path, header(), ls, messageOf(ls, ms), nil); err == nil {
		t.Error("an export that deletes nothing took the place of one that did")
	}
	after, err := os.ReadFile(path + ".part")
	must(t, err)
	if diff := cmp.Diff(string(before), string(after)); diff != "" {
		t.Error(diff)
	}
}

// faulty is a disk with faults.
type faulty struct {
	dlqreplay.Disk
	room  int // bytes that fit; below 0: no bound
	lies  *atomic.Bool
	syncs *atomic.Int64
	slow  time.Duration // each sync takes so long
}

func (f *faulty) Write(p []byte) (int, error) {
	if f.room >= 0 && len(p) > f.room {
		n, _ := f.Disk.Write(p[:f.room])
		f.room = 0
		return n, &os.PathError{Op: "write", Path: "/x", Err: syscall.ENOSPC}
	}
	f.room -= len(p)
	return f.Disk.Write(p)
}

func (f *faulty) ReadAt(p []byte, at int64) (int, error) {
	n, err := f.Disk.ReadAt(p, at)
	if f.lies.Load() && n > 0 {
		p[n/2] ^= 1
	}
	return n, err
}

func (f *faulty) Sync() error {
	f.syncs.Add(1)
	<-time.After(f.slow)
	return f.Disk.Sync()
}

func TestADiskThatLiesTakesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	var lies atomic.Bool
	e, err := dlqreplay.NewExporterOn(path, run("r-1"), func(d dlqreplay.Disk) dlqreplay.Disk {
		return &faulty{Disk: d, room: -1, lies: &lies, syncs: new(atomic.Int64)}
	})
	must(t, err)
	ls, ms := letters(2)
	take(t, e, ls[:1], ms[:1])
	lies.Store(true)
	_, errs := e.Take(t.Context(), ls[1:], ms[1:])
	if err := queue.At(errs, 0); err == nil || !strings.Contains(err.Error(), "not what was written") {
		t.Errorf("error %v, want that the disk is faulty", err)
	}
	if err := e.Close(); err == nil || strings.Count(err.Error(), "not what was written") != 1 {
		t.Errorf("Close: %v, want the first error, once", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file has its name: %v", err)
	}
}

func TestAFullDiskTakesNothingMore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	e, err := dlqreplay.NewExporterOn(path, run("r-1"), func(d dlqreplay.Disk) dlqreplay.Disk {
		return &faulty{Disk: d, room: 2000, lies: new(atomic.Bool), syncs: new(atomic.Int64)}
	})
	must(t, err)
	ls, ms := letters(40)
	taken := 0
	for i := range ls {
		_, errs := e.Take(t.Context(), ls[i:i+1], ms[i:i+1])
		if err := queue.At(errs, 0); err == nil {
			taken++
		} else if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "make room in "+filepath.Dir(path)) {
			t.Fatalf("letter %d: %v, want a full disk and what to do", i, err)
		}
	}
	if taken == 0 || taken == len(ls) {
		t.Fatalf("%d of %d taken: the disk was never full, or never empty", taken, len(ls))
	}
	if err := e.Suspend(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Suspend: %v, want the first error", err)
	}
	again, err := dlqreplay.NewExporter(path, run("r-1"))
	must(t, err)
	if again.Count() < taken {
		t.Errorf("%d of %d that were taken are there", again.Count(), taken)
	}
	take(t, again, ls, ms)
	must(t, again.Close())
	holds(t, path, ms...)
}

// Who comes while the disk is busy shares the next sync. Virtual time passes only when everybody waits for
// it, however busy the machine is.
func TestManyLettersShareAnFsync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		syncs := new(atomic.Int64)
		e, err := dlqreplay.NewExporterOn(filepath.Join(t.TempDir(), "x.jsonl"), run("r-1"), func(d dlqreplay.Disk) dlqreplay.Disk {
			return &faulty{Disk: d, room: -1, lies: new(atomic.Bool), syncs: syncs, slow: time.Millisecond}
		})
		must(t, err)
		ls, ms := letters(3200)
		var all sync.WaitGroup
		for i := 0; i < len(ls); i += 10 {
			all.Go(func() { take(t, e, ls[i:i+10], ms[i:i+10]) })
		}
		all.Wait()
		must(t, e.Close())
		if n := syncs.Load(); n > 200 {
			t.Errorf("%d fsyncs for 320 batches", n)
		} else {
			t.Logf("%d fsyncs for 320 batches", n)
		}
	})
}
