package jobstest

import "testing"

// For is the life with another test to tell.
func (l *Life) For(t testing.TB) *Life {
	told := *l
	told.t = t
	return &told
}
