package snsdelivery_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stationmaster/worker/internal/snsdelivery"
)

// aws-semantics §3, the phases and back-off functions.
func TestRetriesComeInFourPhases(t *testing.T) {
	r := snsdelivery.Retry{MinDelay: 5, MaxDelay: 25, NumRetries: 11, NumNoDelayRetries: 2, NumMinDelayRetries: 1, NumMaxDelayRetries: 3}
	for function, backoff := range map[string][]float64{
		"linear":      {5, 10, 15, 20, 25},
		"arithmetic":  {5, 7, 11, 17, 25},
		"geometric":   {5, 7.477, 11.18, 16.719, 25},
		"exponential": {5, 6.333, 9, 14.333, 25},
	} {
		r.BackoffFunction = function
		var got []float64
		for _, delay := range r.Delays() {
			got = append(got, delay.Seconds())
		}
		want := slices.Concat([]float64{0, 0, 5}, backoff, []float64{25, 25, 25})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", function, diff)
		}
	}
}

// TestDelaysHoldTheirPhasesAndTheCap: of every policy that is taken, the phases sum up to numRetries,
// the delays stay within their bounds and never shrink, and all together last an hour at most.
func TestDelaysHoldTheirPhasesAndTheCap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		few := rapid.IntRange(0, 8)
		least := rapid.IntRange(1, 300).Draw(t, "min")
		most := least + rapid.IntRange(0, 300).Draw(t, "more")
		none, early, middle, late := few.Draw(t, "none"), few.Draw(t, "early"), few.Draw(t, "middle"), few.Draw(t, "late")
		function := rapid.SampledFrom([]string{"linear", "arithmetic", "geometric", "exponential"}).Draw(t, "function")
		policy := fmt.Sprintf(`{"healthyRetryPolicy":{"minDelayTarget":%d,"maxDelayTarget":%d,"numRetries":%d,"numNoDelayRetries":%d,"numMinDelayRetries":%d,"numMaxDelayRetries":%d,"backoffFunction":"%s"}}`,
			least, most, none+early+middle+late, none, early, late, function)
		s, err := snsdelivery.ParseSubscription(policy)
		if err != nil {
			if all := early*least + middle*least + late*most; all <= 3600 && early*least+(middle+late)*most <= 3600 {
				t.Fatalf("%s: %v, but it lasts an hour at most", policy, err)
			}
			return
		}
		delays := snsdelivery.Resolve(nil, s).Retry.Delays()
		var sum time.Duration
		for i, delay := range delays {
			sum += delay
			switch {
			case i < none && delay != 0,
				i >= none && (delay < time.Duration(least)*time.Second || delay > time.Duration(most)*time.Second),
				i >= none && i < none+early && delay != time.Duration(least)*time.Second,
				i >= none+early+middle && delay != time.Duration(most)*time.Second:
				t.Fatalf("%s: retry %d after %v", policy, i, delay)
			}
		}
		if len(delays) != none+early+middle+late || !slices.IsSorted(delays) || sum > snsdelivery.Longest {
			t.Fatalf("%s: %v, %v together", policy, delays, sum)
		}
	})
}
