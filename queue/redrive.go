package queue

import (
	"encoding/json"
	"strconv"
)

// Redrive is the RedrivePolicy of a queue or, without a count, of a subscription.
type Redrive struct {
	// Target is the ARN of the dead-letter queue; empty when there is none.
	Target string
	// Receives is maxReceiveCount; 0 when it is not said.
	Receives int
}

// ReadRedrive reads a RedrivePolicy as SQS or SNS answers it. SQS answers the count as a number or as a
// text, as it was set. What cannot be read is no policy.
func ReadRedrive(policy string) Redrive {
	var raw struct {
		Target string `json:"deadLetterTargetArn"`
		Count  any    `json:"maxReceiveCount"`
	}
	if json.Unmarshal([]byte(policy), &raw) != nil {
		return Redrive{}
	}
	r := Redrive{Target: raw.Target}
	switch n := raw.Count.(type) {
	case float64:
		r.Receives = int(n)
	case string:
		r.Receives, _ = strconv.Atoi(n) // no number is no count
	}
	return r
}
