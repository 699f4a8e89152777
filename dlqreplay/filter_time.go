package dlqreplay

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parseTime reads a time as people write it: "2h", "3d" ago; "03:00", the last time it was so; a date, a
// date with a time, RFC 3339. What has no zone is in that of now.
func parseTime(text string, now time.Time) (time.Time, error) {
	text = strings.TrimSpace(text)
	if ago, ok := parseAgo(text); ok {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		clock, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		y, m, d := now.Date()
		at := time.Date(y, m, d, clock.Hour(), clock.Minute(), clock.Second(), 0, now.Location())
		if at.After(now) {
			at = time.Date(y, m, d-1, clock.Hour(), clock.Minute(), clock.Second(), 0, now.Location())
		}
		return at, nil
	}
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly,
	} {
		if at, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: write 2h or 3d for so long ago, 03:00, 2026-11-24, or 2026-11-24T03:00:00Z", text)
}

// parseAgo reads a duration, which may have days: "3d", "1d12h".
func parseAgo(text string) (time.Duration, bool) {
	var days time.Duration
	if n, rest, found := strings.Cut(text, "d"); found {
		count, err := strconv.Atoi(n)
		if err != nil || count < 0 || count > 10_000 {
			return 0, false
		}
		if days = time.Duration(count) * 24 * time.Hour; rest == "" {
			return days, true
		}
		text = rest
	}
	d, err := time.ParseDuration(text)
	return days + d, err == nil && d >= 0
}
