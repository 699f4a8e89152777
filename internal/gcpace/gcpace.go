// Package gcpace lets the garbage collector of a small process run less often. A worker's heap is a
// few megabytes, and at Go's own pace, which doubles it, it is collected many times a second under
// load; letting it grow a little more spares most of that.
//
// What may be taken more is bounded, not multiplied: Room in all, and less where the memory limit of
// the container is small. A large heap is left to Go's own pace.
package gcpace

import (
	"io/fs"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync/atomic"
)

const (
	// Room is how many bytes of garbage may lie about beyond what Go's own pace leaves.
	Room = 64 << 20
	// most is the highest percentage: beyond it little is gained.
	most = 400
	// own is the pace of Go without GOGC.
	own = 100
	// limits are where Linux tells the memory limit of a container: version 2, then version 1.
	limit2 = "sys/fs/cgroup/memory.max"
	limit1 = "sys/fs/cgroup/memory/memory.limit_in_bytes"
)

// Start sets the pace until stop is called. lookup reads the environment, root is the file system
// from its root on.
//
// Who sets GOGC has decided, and nothing is done. In a container with a memory limit the runtime is
// told nine tenths of it, unless GOMEMLIMIT says something else: near the limit garbage is collected
// rather than the process killed.
func Start(lookup func(name string) (string, bool), root fs.FS) (stop func()) {
	if _, set := lookup("GOGC"); set {
		return func() {}
	}
	room := int64(Room)
	restore := int64(-1)
	if limit, ok := containerLimit(root); ok {
		room = min(room, limit/8)
		if _, set := lookup("GOMEMLIMIT"); !set {
			restore = debug.SetMemoryLimit(limit / 10 * 9)
		}
	}
	p := &pace{room: room, now: own}
	p.step()
	p.afterNext()
	return func() {
		p.stopped.Store(true)
		debug.SetGCPercent(own)
		if restore >= 0 {
			debug.SetMemoryLimit(restore)
		}
	}
}

// pace follows the heap.
type pace struct {
	room    int64
	now     int
	stopped atomic.Bool
}

// afterNext takes the next step after the next collection: the death of an object that nobody holds
// tells of it, and an idle process needs no timer.
func (p *pace) afterNext() {
	sentinel := new([16]byte)
	runtime.SetFinalizer(sentinel, func(*[16]byte) {
		if !p.stopped.Load() {
			p.step()
			p.afterNext()
		}
	})
}

func (p *pace) step() {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	// Setting it stops the world for a moment: only for what makes a difference.
	if want := Percent(int64(sample[0].Value.Uint64()), p.room); want > p.now+p.now/4 || want < p.now-p.now/8 {
		debug.SetGCPercent(want)
		p.now = want
	}
}

// Percent is what GOGC should be for a heap of live bytes, of which garbage may take room beyond
// what Go's own pace leaves: never less than that, and at most 400.
func Percent(live, room int64) int {
	if live <= 0 {
		return most
	}
	return int(min(most, own+float64(room)*100/float64(live)))
}

// containerLimit reads the memory limit of the container; false when there is none.
func containerLimit(root fs.FS) (int64, bool) {
	for _, name := range []string{limit2, limit1} {
		text, err := fs.ReadFile(root, name)
		if err != nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		// Version 1 says "none" by a number near the largest there is.
		return n, err == nil && n > 0 && n < math.MaxInt64/2
	}
	return 0, false
}
