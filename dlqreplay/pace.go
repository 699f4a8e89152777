package dlqreplay

import "time"

// Pace is how fast and how carefully a run goes.
type Pace struct {
	// Rate is the most messages a second; 0 is as fast as SQS.
	Rate float64
	// Ramp begins with 1 a second and goes 2, 5, 10, … up to Rate, RampStep each.
	Ramp bool
	// MaxBacklog pauses while the destination has more visible messages; 0 is never.
	MaxBacklog int64
	// Loops is how many batches are on their way at once; 0 chooses.
	Loops int
	// Canary is how many are sent first, and their returns awaited for Settle; 0 is none.
	Canary int
	// Settle is for how long returns are awaited after the canary and after the last message; 0 is not.
	Settle time.Duration
	// StopOnReturn is the share of sent messages that may return before no more is sent; 0 stops at the
	// first, 1 never.
	StopOnReturn float64
}

// RampStep is how long one step of a ramp lasts.
const RampStep = 10 * time.Second
