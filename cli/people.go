package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/stationmaster/worker/worker"
)

// peopleHandler writes records for somebody who watches: the time of day, the queue, what happened
// and why, and the rest in short. What is only good for a machine is left out; it is in the JSON.
type peopleHandler struct {
	to     io.Writer
	level  slog.Leveler
	attrs  []slog.Attr
	column *column
	mu     *sync.Mutex
}

// column is what lines begin with behind their time: the name of what they are about, as wide as the
// widest name that is known.
type column struct{ width atomic.Int32 }

const narrowest, widest = 8, 32

// widen makes room for names, as far as the rest of a line keeps its own.
func (c *column) widen(names ...string) {
	for _, name := range names {
		n := int32(min(utf8.RuneCountInString(name), widest)) //nolint:gosec // it is small
		for have := c.width.Load(); n > have && !c.width.CompareAndSwap(have, n); have = c.width.Load() {
		}
	}
}

// pad is the name at the width of the column, which it widens.
func (c *column) pad(name string) string {
	c.widen(name)
	return padded(name, int(max(narrowest, c.width.Load())))
}

// wideFor makes room for all that a worker will speak of.
func (c *column) wideFor(w *worker.Worker) {
	for _, st := range w.Stations() {
		c.widen(st.Queue)
	}
	for _, h := range w.Hooks() {
		c.widen(h.Path)
	}
}

// machines are the keys that say nothing to somebody who watches: the queue stands in front, the
// reason behind.
var machines = []string{"queue", "job", "err", "fingerprint", "receive_count"}

// Enabled reports whether the level is shown.
func (h *peopleHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level.Level()
}

// WithAttrs returns a handler with more attributes.
func (h *peopleHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs = append(slices.Clip(h.attrs), attrs...)
	return &with
}

// WithGroup returns h: nothing here is logged in groups.
func (h *peopleHandler) WithGroup(string) slog.Handler { return h }

// Handle writes one record as one line.
func (h *peopleHandler) Handle(_ context.Context, r slog.Record) error {
	values := map[string]string{}
	var order []string
	note := func(a slog.Attr) bool {
		if _, again := values[a.Key]; !again {
			order = append(order, a.Key)
		}
		values[a.Key] = short(a.Value)
		return true
	}
	for _, a := range h.attrs {
		note(a)
	}
	r.Attrs(note)

	about := values["queue"]
	if about == "" { // a path takes messages too
		about = values["path"]
		delete(values, "path")
	}
	var line strings.Builder
	fmt.Fprintf(&line, "%s  %s  %s", r.Time.Format(time.TimeOnly), h.column.pad(about), r.Message)
	if r.Level >= slog.LevelError {
		line.WriteString(" !")
	}
	if err := values["err"]; err != "" {
		line.WriteString(" · " + err)
	}
	for _, key := range order {
		if !slices.Contains(machines, key) && values[key] != "" {
			fmt.Fprintf(&line, " · %s %s", strings.ReplaceAll(key, "_", " "), values[key])
		}
	}
	line.WriteByte('\n')
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.to, line.String())
	return err
}

// short is a value in as few characters as tell it.
func short(v slog.Value) string {
	v = v.Resolve()
	switch v.Kind() {
	case slog.KindDuration:
		return brief(v.Duration())
	case slog.KindTime:
		return v.Time().Format(time.TimeOnly)
	default:
		return strings.Join(strings.Fields(v.String()), " ")
	}
}

// brief rounds a duration to what matters of it.
func brief(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Microsecond).String()
}
