package snsdelivery

import (
	"math"
	"time"
)

// Delays are the waits before each retry, phase by phase: without delay, at the smallest delay,
// growing from the smallest to the largest, at the largest. AWS shortens and lengthens them at
// random; here they are exact, so that a test can tell.
func (r Retry) Delays() []time.Duration {
	delays := make([]time.Duration, 0, r.NumRetries)
	repeat := func(n, seconds int) {
		for range n {
			delays = append(delays, time.Duration(seconds)*time.Second)
		}
	}
	repeat(r.NumNoDelayRetries, 0)
	repeat(r.NumMinDelayRetries, r.MinDelay)
	n := r.NumRetries - r.NumNoDelayRetries - r.NumMinDelayRetries - r.NumMaxDelayRetries
	for i := range n {
		delays = append(delays, r.backoff(i, n))
	}
	repeat(r.NumMaxDelayRetries, r.MaxDelay)
	return delays
}

// backoff is the delay before retry i of n in the third phase. AWS publishes no formulas, only a
// picture of their curves: all lead from the smallest delay to the largest; linear is the highest of
// them, then arithmetic (whose steps grow by the same amount), then geometric (by the same factor)
// and exponential (whose steps double).
func (r Retry) backoff(i, n int) time.Duration {
	least, most := float64(r.MinDelay), float64(r.MaxDelay)
	if n == 1 {
		return time.Duration(r.MinDelay) * time.Second
	}
	at := float64(i) / float64(n-1)
	part := at
	switch r.BackoffFunction {
	case "arithmetic":
		part = float64(i*(i+1)) / float64(n*(n-1))
	case "geometric":
		return seconds(least * math.Pow(most/least, at))
	case "exponential":
		part = math.Expm1(at*float64(n-1)*math.Ln2) / math.Expm1(float64(n-1)*math.Ln2)
	}
	return seconds(least + (most-least)*part)
}

// seconds rounds to milliseconds: finer than anybody measures, and the ends come out exactly.
func seconds(s float64) time.Duration {
	return time.Duration(math.Round(s*1000)) * time.Millisecond
}

func (r Retry) total() time.Duration {
	var sum time.Duration
	for _, delay := range r.Delays() {
		sum += delay
	}
	return sum
}
