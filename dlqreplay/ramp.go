package dlqreplay

import "time"

// rampTop is where the ramp of a run without a rate ends: beyond it, SQS is the limit.
const rampTop = 1000

// rateAt is the rate of a run so long after its first message, in messages a second; 0 is no limit.
// next is when that changes; 0 is never.
func (p Pace) rateAt(since time.Duration) (rate float64, next time.Duration) {
	if !p.Ramp {
		return p.Rate, 0
	}
	rate = 1
	for i := 0; ; i++ {
		if p.Rate > 0 && rate >= p.Rate || p.Rate <= 0 && rate > rampTop {
			return p.Rate, 0
		}
		if next += RampStep; since < next {
			return rate, next
		}
		// 1, 2, 5, 10, 20, 50, …
		if i%3 == 1 {
			rate *= 2.5
		} else {
			rate *= 2
		}
	}
}
