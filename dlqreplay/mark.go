package dlqreplay

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/queue"
)

// marker makes what is sent out of what is held.
type marker struct{ replayID, by string }

// mark turns m, the message of l as it lies in the dead-letter queue, into what is sent to d, and reports
// whether its return would be recognised. Body, attributes, group and trace header stay as they are: what
// changes is the record, whose failure gives way to the mark of this replay, and on FIFO queues the
// deduplication id, which must not equal that of an older send.
func (k marker) mark(l *Letter, m *queue.Message, d *Destination, now time.Time) (marked bool) {
	if d.Unchanged {
		return true
	}
	m.DeduplicationID = ""
	if d.FIFO {
		m.DeduplicationID = deduplicate(k.replayID, l.MessageID)
	}
	record, had := deadletter.Read(m)
	_, foreign := m.Attributes[deadletter.Attribute]
	if !had {
		// An attribute of our name that is not ours stays: nothing of a message is ever dropped.
		if foreign || !d.Marks {
			return false
		}
		record = deadletter.Record{
			V: deadletter.Version, FirstReceived: l.FirstReceived,
			ID: queue.StableID(&queue.Delivery{Message: *m, MessageID: l.MessageID}),
		}
	}
	record.Deaths = l.Deaths()
	by := deadletter.Replay{ID: k.replayID, By: k.by, FromID: l.MessageID, At: now.UTC().Truncate(time.Millisecond)}
	sent := *m
	if err := record.Replayed(by).Write(&sent); err != nil || sent.Size() > d.limit() {
		return false // no room: it goes as it is
	}
	*m = sent
	return true
}

// deduplicate is the deduplication id of a letter in one replay: the same for every try, and no other
// send's.
func deduplicate(replayID, messageID string) string {
	sum := sha256.Sum256([]byte(replayID + "\n" + messageID))
	return hex.EncodeToString(sum[:])
}
