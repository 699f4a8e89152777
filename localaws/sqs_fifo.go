package localaws

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// fifoMemory is for how long a FIFO queue remembers what was sent, and what a receive with a
// ReceiveRequestAttemptId was given. Source: SendMessage and ReceiveMessage, SQS API reference.
const fifoMemory = 5 * time.Minute

// wrongType is SQS's answer to a parameter that the other type of queue has. Its grammar is AWS's.
func wrongType(value any, parameter string) *apiError {
	return badValue("Value %v for parameter %s is invalid. Reason: The request include parameter that is not valid for this queue type.", value, parameter)
}

func noGroup() *apiError { return missing("MessageGroupId") }

func noDedup() *apiError {
	return badValue("The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
}

// checkOrder checks what a message says of its order, and fills in the deduplication id that a queue
// makes of the content: of the body only, so that messages that differ in their attributes alone
// are one.
func (q *sqsQueue) checkOrder(m *sqsMessage) error {
	if m.groupID != "" && !groupID.MatchString(m.groupID) {
		return badID(m.groupID, "MessageGroupId")
	}
	switch {
	case !q.fifo && m.dedupID != "":
		return wrongType(m.dedupID, "MessageDeduplicationId")
	case !q.fifo:
		return nil
	case m.groupID == "":
		return noGroup()
	case m.dedupID != "" && !groupID.MatchString(m.dedupID):
		return badID(m.dedupID, "MessageDeduplicationId")
	case m.dedupID == "" && !q.contentDedup:
		return noDedup()
	case m.dedupID == "":
		sum := sha256.Sum256([]byte(m.body))
		m.dedupID = hex.EncodeToString(sum[:])
	}
	return nil
}

func badID(value, parameter string) *apiError {
	return badValue("Value %s for parameter %s is invalid. Reason: %s can only include alphanumeric and punctuation characters. 1 to 128 in length.", value, parameter, parameter)
}

// checkFIFOBatch refuses a batch as a whole for what SQS does not leave to its entries.
func (q *sqsQueue) checkFIFOBatch(entries []batchEntry) error {
	for _, entry := range entries {
		switch {
		case !q.fifo:
		case entry.MessageGroupID == "":
			return badValue("%s", noGroup().Message)
		case entry.MessageDeduplicationID == "" && !q.contentDedup:
			return noDedup()
		}
	}
	return nil
}

func (q *sqsQueue) checkAttemptID(id string) error {
	switch {
	case id == "":
		return nil
	case !q.fifo:
		return wrongType(id, "ReceiveRequestAttemptId") // inferred from what the other parameters do
	case !groupID.MatchString(id):
		return badID(id, "ReceiveRequestAttemptId")
	}
	return nil
}

// sequenceNumber is 20 digits, as AWS's are, and grows with each message of a queue.
func (m *message) sequenceNumber() string {
	if m.sequence == 0 {
		return ""
	}
	return fmt.Sprintf("188%017d", m.sequence)
}

// memory forgets what is older than fifoMemory. Its zero value is empty.
type memory[V any] struct {
	byKey map[string]remembered[V]
	keys  []remembered[string] // in the order of time
}

type remembered[V any] struct {
	value V
	at    time.Time
}

func (m *memory[V]) get(key string, now time.Time) (V, bool) {
	for len(m.keys) > 0 && now.Sub(m.keys[0].at) >= fifoMemory {
		if old := m.keys[0]; m.byKey[old.value].at.Equal(old.at) { // else it was put again since
			delete(m.byKey, old.value)
		}
		m.keys = m.keys[1:]
	}
	r, ok := m.byKey[key]
	return r.value, ok
}

func (m *memory[V]) put(key string, v V, now time.Time) {
	if m.byKey == nil {
		m.byKey = map[string]remembered[V]{}
	}
	m.byKey[key] = remembered[V]{v, now}
	m.keys = append(m.keys, remembered[string]{key, now})
}

// accepted is what remains known of a message that was sent, also when it was deleted or purged.
type accepted struct {
	id       string
	sequence uint64
}

// dedupKey names a message within the scope in which its deduplication id counts.
func (q *sqsQueue) dedupKey(m *sqsMessage) string {
	if q.groupScope {
		return m.groupID + " " + m.dedupID // neither has a space
	}
	return m.dedupID
}

// given is a message that was handed out, as it was then.
type given struct {
	*message
	receipt, changed int
}

// again returns the messages that an earlier receive with the same ReceiveRequestAttemptId was given,
// if none of them has been touched since. They keep their receipt handles.
func (q *sqsQueue) again(attemptID string, now time.Time) []*message {
	earlier, _ := q.attempts.get(attemptID, now)
	messages := make([]*message, len(earlier))
	for i, g := range earlier {
		if g.place != inFlight || g.receipts != g.receipt || g.changes != g.changed {
			return nil
		}
		messages[i] = g.message
	}
	return messages
}

func (q *sqsQueue) remember(attemptID string, taken []*message, now time.Time) {
	if attemptID == "" || len(taken) == 0 {
		return
	}
	out := make([]given, len(taken))
	for i, m := range taken {
		out[i] = given{m, m.receipts, m.changes}
	}
	q.attempts.put(attemptID, out, now)
}
