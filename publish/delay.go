package publish

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/stationmaster/worker/queue"
)

// Delay lets a message start no sooner than d from now, at most 12 hours. Send leaves up to 15 minutes to
// SQS. Anything else waits in its queue, hidden by the worker that receives it, where it counts as in
// flight: of those a standard queue has at most 120,000. It takes one of the ten attributes. An HTTP
// delivery cannot wait, nor can a message of a FIFO topic or queue, which would hold up its group.
func Delay(d time.Duration) Option {
	return func(m *queue.Message) error {
		if d <= 0 {
			return fmt.Errorf("delay %v: %w: must be more than 0", d, queue.ErrRejected)
		}
		return NotBefore(time.Now().Add(d))(m)
	}
}

// NotBefore is Delay until t. A time that has passed delays nothing.
func NotBefore(t time.Time) Option {
	return func(m *queue.Message) error {
		if d := time.Until(t); d > queue.MaxHeld {
			return &queue.DelayTooLongError{Delay: d.Round(time.Second)}
		}
		return mark(m, queue.NotBeforeKey, t.UTC().Format(time.RFC3339Nano))
	}
}

// mark writes one key of the stationmaster attribute and leaves the others as they are.
func mark(m *queue.Message, key, text string) error {
	marks := marksOf(m)
	marks[key] = text
	return setMarks(m, marks)
}

func marksOf(m *queue.Message) map[string]any {
	marks := map[string]any{}
	if a, has := m.Attributes[queue.StationmasterAttribute]; has {
		if err := json.Unmarshal([]byte(a.Text), &marks); err != nil || marks == nil {
			return map[string]any{} // nobody could have read it
		}
	}
	return marks
}

func setMarks(m *queue.Message, marks map[string]any) error {
	text, err := json.Marshal(marks)
	if err != nil {
		return err
	}
	return set(m, queue.StationmasterAttribute, string(text))
}

// delay checks for how long a message must wait, and writes it so that the destination can carry it: SQS
// does itself what it can.
func (d *destination) delay(m *queue.Message) error {
	left := m.Delay
	if at := queue.NotBefore(&queue.Delivery{Message: *m}); !at.IsZero() {
		left = max(left, time.Until(at))
	}
	switch {
	case left <= 0:
		return nil
	case left > queue.MaxHeld:
		return &queue.DelayTooLongError{Delay: left.Round(time.Second)}
	case d.fifo:
		return fmt.Errorf("delay %v: %w: FIFO has no delay for one message, which would hold up its group; use a standard one",
			left.Round(time.Second), queue.ErrRejected)
	case d.system == "aws.sns" || left > queue.MaxDelay:
		m.Delay = 0
		return NotBefore(time.Now().Add(left))(m)
	}
	m.Delay = left
	return forget(m, queue.NotBeforeKey)
}

// forget takes one key out of the stationmaster attribute.
func forget(m *queue.Message, key string) error {
	marks := marksOf(m)
	if _, written := marks[key]; !written {
		return nil
	}
	delete(marks, key)
	if err := setMarks(m, marks); err != nil {
		return err
	}
	if len(marks) == 0 {
		delete(m.Attributes, queue.StationmasterAttribute) // setMarks has made the map its own
	}
	return nil
}
