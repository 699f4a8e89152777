package jobstest

import (
	"fmt"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience is how many ticks, of real time, a life may stand still: between tries, and within one.
type patience struct {
	tick            time.Duration
	between, within int
	// end tells what stands still; the test cannot be ended otherwise than by a panic, as by -timeout.
	end func(said string)
}

// A job may well be slow for a while; what runs between tries is this kit's alone.
var usual = patience{tick: time.Second, between: 10, within: 30, end: func(said string) { panic(said) }}

// watchClock ends the test when the virtual clock of a life stands still because a goroutine waits for a
// socket, or for anything else outside of its bubble. It must be called outside; stop ends it.
func watchClock(t testing.TB, l *living) (stop func()) {
	http.DefaultClient.CloseIdleConnections() // those of tests before this one
	p := usual
	if l.setup.patience != nil {
		p = *l.setup.patience
	}
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		ticks := time.NewTicker(p.tick)
		defer ticks.Stop()
		stood, moves := 0, int64(-1)
		for {
			select {
			case <-done:
				return
			case <-ticks.C:
			}
			if now := l.moves.Load(); now != moves {
				stood, moves = 0, now
				continue
			}
			stood++
			limit, running := p.between, l.runs.Load() > 0
			if running {
				limit = p.within
			}
			if stood < limit {
				continue
			}
			if waits := waiting(stacks(), l.bubble.Load()); len(waits) > 0 {
				p.end(standstill(t.Name(), l, time.Duration(stood)*p.tick, running, waits))
				stood = 0
			}
		}
	}()
	return func() { close(done); <-gone }
}

// standstill says what stands still, and what mends it.
func standstill(test string, l *living, stood time.Duration, running bool, waits []string) string {
	cure := "What waits so between tries must be closed when a try ends, or the job be tested with jobstest.Run."
	switch {
	case running:
		cure = "No timeout of the job ends that, for its clock stands still: let the test answer or hang up, or test the job with jobstest.Run."
	case strings.Contains(strings.Join(waits, " "), "net/http.(*persistConn)"):
		cure = "It is an idle connection of the job's HTTP client. Let the test's server close it: one of jobstest.Serve does, " +
			"one of httptest with Config.SetKeepAlivesEnabled(false)."
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("jobstest: %s: the virtual clock of job %s has stood still for %s.\n"+
		"It moves only while the life waits for the clock alone, and this waits for something else:\n\n  %s\n\n%s\n\nSo far:\n\n%s\n",
		test, l.job, short(stood), strings.Join(waits, "\n  "), cure, l.all)
}

// stacks are those of all goroutines.
func stacks() string {
	for size := 1 << 20; ; size *= 2 {
		text := make([]byte, size)
		if n := runtime.Stack(text, true); n < size || size >= 64<<20 {
			return string(text[:n])
		}
	}
}

// moving is a goroutine that waits for its bubble alone, or for nothing.
var moving = regexp.MustCompile(`\((durable|scan|preempted)|\[(running|runnable)`)

var inBubble = regexp.MustCompile(`synctest bubble \d+`)

// bubbleOf names the bubble of the caller as stacks do.
func bubbleOf() string {
	text := make([]byte, 200)
	return inBubble.FindString(string(text[:runtime.Stack(text, false)]))
}

// plumbing is what stands between a wait and whoever has to wait.
var plumbing = []string{"internal/poll.", "net.(", "net/http.(*persistConn).Read(", "runtime.", "syscall.", "crypto/tls.", "bufio.", "io."}

// waiting are the functions of a bubble that wait for something outside of it. Those that do not are marked
// in a trace: "goroutine 7 [select (durable), synctest bubble 1]:".
func waiting(stacks string, bubble any) []string {
	var found []string
	for one := range strings.SplitSeq(stacks, "\n\n") {
		head, frames, _ := strings.Cut(one, "\n")
		where := inBubble.FindString(head)
		if where == "" || bubble != nil && where != bubble || moving.MatchString(head) {
			continue
		}
		state, _, _ := strings.Cut(head[strings.IndexByte(head, '[')+1:], ",")
		found = append(found, waiter(frames)+" ("+state+")")
	}
	return found
}

// waiter is the first function of a stack that is not plumbing, and its place.
func waiter(frames string) string {
	lines := strings.Split(frames, "\n")
next:
	for n := 0; n+1 < len(lines); n += 2 {
		for _, p := range plumbing {
			if strings.HasPrefix(lines[n], p) {
				continue next
			}
		}
		name := strings.TrimPrefix(lines[n], "created by ")
		if end := strings.LastIndexByte(name, '('); end > 0 {
			name = name[:end]
		}
		place, _, _ := strings.Cut(strings.TrimSpace(lines[n+1]), " ")
		return name + " " + place
	}
	return "a goroutine"
}
