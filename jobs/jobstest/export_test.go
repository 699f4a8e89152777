package jobstest

import (
	"testing"
	"time"
)

// For is the life with another test to tell.
func (l *Life) For(t testing.TB) *Life {
	told := *l
	told.t = t
	return &told
}

// For are the lives with another test to tell.
func (l *Lives) For(t testing.TB) *Lives {
	told := *l
	told.t = t
	return &told
}

// Patience lets a life stand still for one or two ticks before end is told.
func Patience(tick time.Duration, end func(said string)) Option {
	return func(s *setup) { s.patience = &patience{tick: tick, between: 2, within: 2, end: end} }
}
