package dlqreplay

import (
	"fmt"
	"time"
)

// fifoPatience is for how long silence is not taken for the end of what can be seen of a FIFO queue.
const fifoPatience = 5 * time.Second

// endFIFO ends the scan of a FIFO queue. Of each group SQS hands out the first messages, and nothing more
// while these are held: what is counted as visible beyond them is behind them. trickles: new ones go on
// coming. s.mu is held.
func (s *scan) endFIFO(now Counts, trickles bool) {
	held := int64(s.held.count())
	if now.Visible == 0 || held >= s.start.Visible {
		s.over = true
		s.complete, s.why = s.whole(now)
		return
	}
	if s.doubts(now, fifoPatience, nil); !s.over && !trickles {
		return
	}
	s.over = true
	s.why = fmt.Sprintf("of each message group only the first messages can be seen, until these are gone: %d of %d in %d groups",
		held, max(s.start.Visible, held+now.Visible), s.held.messageGroups())
}

// messageGroups counts the groups whose first messages are held.
func (h *Held) messageGroups() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	groups := map[string]bool{}
	for _, l := range h.letters {
		groups[l.GroupID] = true
	}
	return len(groups)
}
