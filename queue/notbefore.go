package queue

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// NotBeforeKey is the key, in the JSON of the stationmaster attribute, of the time before which a message
// must not start: RFC 3339, UTC.
const NotBeforeKey = "not_before"

// NotBefore is when a delivery may start at the earliest, as its producer wrote it; zero when any time
// will do. What stands outside an SNS envelope outweighs what stands inside: a dead letter carries its
// record there, without such a time, so that its replay starts at once.
func NotBefore(d *Delivery) time.Time {
	if _, written := d.Attributes[StationmasterAttribute]; written {
		return writtenTime(d.Attributes)
	}
	if !strings.Contains(d.Body, NotBeforeKey) { // most bodies are decided without parsing them
		return time.Time{}
	}
	n, enveloped := ReadNotification(d.Body)
	return NotBeforeOf(d, n, enveloped)
}

// NotBeforeOf is NotBefore for a caller that has opened the envelope already.
func NotBeforeOf(d *Delivery, n Notification, enveloped bool) time.Time {
	if _, written := d.Attributes[StationmasterAttribute]; written || !enveloped {
		return writtenTime(d.Attributes)
	}
	return writtenTime(n.Attributes)
}

// writtenTime reads the time; one that cannot be read is none.
func writtenTime(attributes map[string]Attribute) time.Time {
	a, has := attributes[StationmasterAttribute]
	if !has || !strings.Contains(a.Text, NotBeforeKey) {
		return time.Time{}
	}
	var written struct {
		NotBefore string `json:"not_before"`
	}
	if err := json.Unmarshal([]byte(a.Text), &written); err != nil {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, written.NotBefore)
	if err != nil {
		return time.Time{}
	}
	return t
}

// Early reports whether a message may not start yet. SQS hides for whole seconds, and clocks differ: up to
// one second before its time it may, or it could be kept back again and again.
func Early(notBefore, now time.Time) bool { return notBefore.Sub(now) > time.Second }

// DelayTooLongError says why a message cannot wait for as long as it was told to.
type DelayTooLongError struct{ Delay time.Duration }

func (e *DelayTooLongError) Error() string {
	return fmt.Sprintf("delay %v: must be at most %v, for which SQS hides a message; keep it elsewhere until then", e.Delay, MaxHeld)
}

// Unwrap makes it an ErrRejected.
func (e *DelayTooLongError) Unwrap() error { return ErrRejected }

// Class names the failure in a dead letter's record.
func (e *DelayTooLongError) Class() string { return "delay_too_long" }
