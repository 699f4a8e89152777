// Package period writes durations for people.
package period

import (
	"strings"
	"time"
)

// Text is a duration without the zeros at its end: 1h and 1h30m, not 1h0m0s and 1h30m0s.
func Text(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
