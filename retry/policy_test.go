package retry_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stationmaster/worker/retry"
)

var errBoom = errors.New("boom")

func TestDecide(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	p := retry.Policy{Attempts: 3, First: 2 * time.Second, Factor: 2, Max: time.Minute}
	for _, row := range []struct {
		name string
		f    retry.Failure
		want retry.Decision
	}{
		{"success", retry.Failure{Attempt: 1}, retry.Decision{Action: retry.Done, Spends: true}},
		{"first failure", retry.Failure{Err: errBoom, Attempt: 1}, retry.Decision{Action: retry.Again, Delay: time.Second, Spends: true}},
		{"second failure doubles", retry.Failure{Err: errBoom, Attempt: 2}, retry.Decision{Action: retry.Again, Delay: 2 * time.Second, Spends: true}},
		{"last attempt", retry.Failure{Err: errBoom, Attempt: 3}, retry.Decision{Action: retry.DeadLetter, Spends: true}},
		{"never, wrapped", retry.Failure{Err: fmt.Errorf("send: %w", retry.Never(errBoom)), Attempt: 1}, retry.Decision{Action: retry.DeadLetter, Spends: true}},
		{"after an error", retry.Failure{Err: retry.After(errBoom, 7*time.Second), Attempt: 1}, retry.Decision{Action: retry.Again, Delay: 7 * time.Second, Spends: true}},
		{"after an error on the last attempt", retry.Failure{Err: retry.After(errBoom, 7*time.Second), Attempt: 3}, retry.Decision{Action: retry.DeadLetter, Spends: true}},
		{"after without error spends nothing", retry.Failure{Err: retry.After(nil, time.Hour), Attempt: 3}, retry.Decision{Action: retry.Again, Delay: time.Hour}},
		{"after without error hides at least MinRest", retry.Failure{Err: retry.After(nil, time.Second), Attempt: 1}, retry.Decision{Action: retry.Again, Delay: retry.MinRest}},
		{
			"pause",
			retry.Failure{Err: retry.Pause(errBoom, now.Add(5*time.Minute)), Attempt: 3, Now: now},
			retry.Decision{Action: retry.Rest, Delay: 5 * time.Minute, Until: now.Add(5 * time.Minute)},
		},
		{
			"pause in the past still hides",
			retry.Failure{Err: retry.Pause(nil, now.Add(-time.Hour)), Attempt: 1, Now: now},
			retry.Decision{Action: retry.Rest, Delay: retry.MinRest, Until: now.Add(-time.Hour)},
		},
		{
			"an hour of work leaves eleven",
			retry.Failure{Err: retry.After(errBoom, 12*time.Hour), Attempt: 1, Held: time.Hour},
			retry.Decision{Action: retry.Again, Delay: 11*time.Hour - 10*time.Second, Spends: true},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := p.Decide(row.f, 0.5); got != row.want {
				t.Errorf("Decide = %+v, want %+v", got, row.want)
			}
		})
	}
}

func TestMarksKeepTheirCause(t *testing.T) {
	for _, err := range []error{retry.Never(errBoom), retry.After(errBoom, 1), retry.Pause(errBoom, time.Now())} {
		if !errors.Is(err, errBoom) || err.Error() != "boom" {
			t.Errorf("%T: %q does not wrap its cause", err, err)
		}
	}
	if retry.Never(nil) != nil {
		t.Error("Never(nil) is not nil")
	}
}

func TestDelayIsMonotoneUntilMaxAndWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := retry.Policy{
			Attempts: 1 << 30,
			First:    time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "first")),
			Factor:   rapid.Float64Range(1, 10).Draw(t, "factor"),
		}
		p.Max = p.First + time.Duration(rapid.Int64Range(0, int64(12*time.Hour)).Draw(t, "max"))
		attempt := rapid.IntRange(1, 1<<20).Draw(t, "attempt")
		held := time.Duration(rapid.Int64Range(0, int64(13*time.Hour)).Draw(t, "held"))
		random := rapid.Float64Range(0, 0.999999).Draw(t, "random")

		if a, b := p.Bound(attempt), p.Bound(attempt+1); a > b || b > p.Max || a <= 0 {
			t.Fatalf("bounds %v, %v with max %v", a, b, p.Max)
		}
		d := p.Decide(retry.Failure{Err: errBoom, Attempt: attempt, Held: held}, random)
		if d.Action != retry.Again || !d.Spends {
			t.Fatalf("decision %+v", d)
		}
		if d.Delay < 0 || d.Delay > p.Bound(attempt) {
			t.Fatalf("delay %v outside [0, %v]", d.Delay, p.Bound(attempt))
		}
		if d.Delay > 0 && held+d.Delay > 12*time.Hour {
			t.Fatalf("held %v + delay %v is more than SQS allows", held, d.Delay)
		}
	})
}
