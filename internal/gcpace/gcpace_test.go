package gcpace_test

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"github.com/stationmaster/worker/internal/gcpace"
)

func TestGarbageTakesNoMoreThanItsRoom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		live, room := rapid.Int64Range(0, 1<<40).Draw(t, "live"), rapid.Int64Range(0, 1<<30).Draw(t, "room")
		got := gcpace.Percent(live, room)
		if got < 100 || got > 400 {
			t.Fatalf("Percent = %d", got)
		}
		if more := float64(live) * float64(got-100) / 100; more > float64(room) {
			t.Fatalf("%d%% of %d bytes are %.0f more than at Go's own pace, allowed are %d", got, live, more, room)
		}
	})
	if got := gcpace.Percent(4<<20, gcpace.Room); got != 400 {
		t.Errorf("a small heap has %d%%, want 400", got)
	}
}

// state reads what is set and leaves it so.
func state() (percent int, limit int64) {
	percent = debug.SetGCPercent(100)
	debug.SetGCPercent(percent)
	return percent, debug.SetMemoryLimit(-1)
}

func TestStartKeepsWhatTheUserHasSet(t *testing.T) {
	container := fstest.MapFS{"sys/fs/cgroup/memory.max": {Data: []byte("1000000000\n")}}
	old := fstest.MapFS{"sys/fs/cgroup/memory/memory.limit_in_bytes": {Data: []byte("1000000000\n")}}
	none := fstest.MapFS{"sys/fs/cgroup/memory.max": {Data: []byte("max\n")}}
	unbounded := fstest.MapFS{"sys/fs/cgroup/memory/memory.limit_in_bytes": {Data: []byte("9223372036854771712\n")}}
	for name, row := range map[string]struct {
		env   map[string]string
		root  fstest.MapFS
		paced bool
		limit int64
	}{
		"nothing":               {root: none, paced: true, limit: math.MaxInt64},
		"no files":              {paced: true, limit: math.MaxInt64},
		"no limit in version 1": {root: unbounded, paced: true, limit: math.MaxInt64},
		"a container":           {root: container, paced: true, limit: 900000000},
		"one of version 1":      {root: old, paced: true, limit: 900000000},
		"GOGC":                  {env: map[string]string{"GOGC": "100"}, root: container, limit: math.MaxInt64},
		"GOMEMLIMIT":            {env: map[string]string{"GOMEMLIMIT": "1GiB"}, root: container, paced: true, limit: math.MaxInt64},
		"GOGC and no container": {env: map[string]string{"GOGC": "off"}, limit: math.MaxInt64},
	} {
		t.Run(name, func(t *testing.T) {
			before, limitBefore := state()
			stop := gcpace.Start(func(name string) (string, bool) { v, ok := row.env[name]; return v, ok }, row.root)
			runtime.GC()
			percent, limit := state()
			if (percent > before) != row.paced || limit != row.limit {
				t.Errorf("GC percent %d (before: %d), memory limit %d, want %d", percent, before, limit, row.limit)
			}
			stop()
			if percent, limit := state(); percent != before || limit != limitBefore {
				t.Errorf("after stop: %d%%, limit %d", percent, limit)
			}
		})
	}
}
