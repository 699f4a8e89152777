package localaws

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// order checks what a message says of its order, and fills in the deduplication id that a FIFO topic
// makes of the content: of the message only, so that messages that differ in their attributes alone
// are one.
func (p *published) order(t *topic) *apiError {
	switch {
	case !t.fifo && p.dedupID != "":
		return invalidParameter("MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type")
	case !t.fifo:
		return nil
	case p.groupID == "":
		return invalidParameter("The MessageGroupId parameter is required for FIFO topics")
	case p.dedupID == "" && !strings.EqualFold(t.attributes["ContentBasedDeduplication"], "true"):
		return invalidParameter("The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
	case p.dedupID == "":
		sum := sha256.Sum256([]byte(p.message))
		p.dedupID = hex.EncodeToString(sum[:])
	}
	return nil
}

// enter gives a message of a FIFO topic its number. One that the topic had lately goes no further: to
// its publisher it looks as the first. Server.mu is held.
func (t *topic) enter(p *published) (again bool) {
	if !t.fifo {
		return false
	}
	key := p.dedupID
	if t.attributes["FifoThroughputScope"] == "MessageGroup" {
		key = p.groupID + " " + key // neither has a space
	}
	now := time.Now()
	first, again := t.recent.get(key, now)
	if !again {
		t.sequence++
		first = accepted{p.id, t.sequence}
		t.recent.put(key, first, now)
	}
	p.id, p.sequence = first.id, fmt.Sprintf("1%019d", first.sequence)
	return again
}
