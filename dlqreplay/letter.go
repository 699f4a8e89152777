package dlqreplay

import (
	"time"

	"github.com/stationmaster/worker/deadletter"
)

// Kind is how a dead letter came into its queue.
type Kind string

// Kinds of dead letters.
const (
	// Recorded was sent by a worker, with a failure record.
	Recorded Kind = "recorded"
	// Moved was moved by SQS's redrive policy: its worker died, ran out of time, or could not send it.
	Moved Kind = "moved"
	// Undelivered is what SNS could not deliver to a subscription.
	Undelivered Kind = "undelivered"
	// Foreign came from somebody else and says nothing that is understood here, or little.
	Foreign Kind = "foreign"
)

// Letter is one dead letter. It does not change after the scan.
type Letter struct {
	// MessageID is SQS's, and the same for as long as the message is in this queue.
	MessageID string
	Kind      Kind
	// Record is what its worker wrote; its zero value when nothing is recorded.
	Record deadletter.Record
	// Job, Class, Reason and Fingerprint say why it died: of the record, else of what the message
	// tells. Fingerprint is deadletter.Unexplained where nobody knows.
	Job, Class, Reason, Fingerprint string
	// Receives counts this queue's receives too.
	Receives int
	// Sent is when it was first sent; on a FIFO queue when it came into this one. Zero if not known.
	Sent, FirstReceived time.Time
	// SourceARN is the queue that SQS moved it from.
	SourceARN string
	GroupID   string
	// Size is the bytes that SQS counts.
	Size int
}

// Died is when it died, as far as anybody knows: of the record, else when it was sent. A record of
// what SQS moved itself tells of an earlier death.
func (l *Letter) Died() time.Time {
	if l.Kind != Moved && !l.Record.Died.IsZero() {
		return l.Record.Died
	}
	return l.Sent
}

// Deaths is how often it has died. What SQS moved itself died once more than its record says.
func (l *Letter) Deaths() int {
	if l.Kind == Moved {
		return l.Record.Deaths + 1
	}
	return l.Record.Deaths
}
