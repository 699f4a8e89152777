package dlqreplay

import "time"

// EventKind says what an Event tells.
type EventKind string

// Kinds of events. Those marked * come often, for bars; all others once.
const (
	Scanning   EventKind = "scanning"   // * Done letters held, about Total
	Scanned    EventKind = "scanned"    // Done letters are held, in Took
	Waiting    EventKind = "waiting"    // * for Done letters that another run still hides, until Until at most
	Canary     EventKind = "canary"     // Done of Total canaries are sent
	Settling   EventKind = "settling"   // * the returns are awaited until Until; Phase says whose
	Returned   EventKind = "returned"   // Letter came back
	Replaying  EventKind = "replaying"  // * Done of Total are sent
	Pausing    EventKind = "pausing"    // the destination has Backlog waiting; sending goes on when it has less
	Resuming   EventKind = "resuming"   // it has
	Retrying   EventKind = "retrying"   // Err: the service refused for a passing reason; it is tried again
	Stopping   EventKind = "stopping"   // Why: no more is sent
	Finishing  EventKind = "finishing"  // * interrupted: batches in flight are finished, Done of Total are released
	Released   EventKind = "released"   // Done letters were given back to the queue
	MoveTask   EventKind = "move_task"  // * SQS's own task moved Done of about Total
	Exporting  EventKind = "exporting"  // * Done of Total are written
	Ended      EventKind = "ended"      // Report
	JournalAt  EventKind = "journal"    // Path
	Unobserved EventKind = "unobserved" // Why: returns cannot be seen
)

// Event tells what a scan or a run is doing. Fields that a kind does not use are zero.
type Event struct {
	At    time.Time `json:"at"`
	Kind  EventKind `json:"event"`
	Done  int       `json:"done,omitempty"`
	Total int       `json:"total,omitempty"`
	// Phase is "canary" or "replay".
	Phase    string        `json:"phase,omitempty"`
	Returned int           `json:"returned,omitempty"`
	Rate     float64       `json:"rate,omitempty"` // messages a second, of the last seconds
	Backlog  int64         `json:"backlog,omitempty"`
	Until    time.Time     `json:"until,omitzero"`
	Took     time.Duration `json:"took_ns,omitempty"`
	Letter   *Return       `json:"letter,omitempty"`
	Why      string        `json:"why,omitempty"`
	Path     string        `json:"path,omitempty"`
	Err      string        `json:"err,omitempty"`
	Report   *Report       `json:"report,omitempty"`
}

// Return is a replayed message that died again.
type Return struct {
	MessageID   string    `json:"message_id"`
	FromID      string    `json:"from_id"` // the dead letter that was replayed
	Job         string    `json:"job,omitempty"`
	Class       string    `json:"class,omitempty"`
	Reason      string    `json:"reason,omitempty"`
	Fingerprint string    `json:"fingerprint,omitempty"`
	Build       string    `json:"build,omitempty"`
	Host        string    `json:"host,omitempty"`
	Died        time.Time `json:"died,omitzero"`
}

// Outcome is how a run ended.
type Outcome string

// Outcomes of a run.
const (
	Completed   Outcome = "completed"   // everything chosen was sent; Report says whether all of it stayed away
	Stopped     Outcome = "stopped"     // by the canary or by the rate of returns
	Interrupted Outcome = "interrupted" // by the operator; resumable
	Failed      Outcome = "failed"      // something does not work: the destination, the disk, permissions
)

// Report is what became of everything that was chosen. Selected is the sum of Replayed, Failed, Gone and
// Left.
type Report struct {
	ReplayID string  `json:"replay_id"`
	Journal  string  `json:"journal,omitempty"`
	Outcome  Outcome `json:"outcome"`
	// Why says why it did not complete.
	Why string `json:"why,omitempty"`

	Selected int `json:"selected"`
	// Replayed were accepted by their destination.
	Replayed int `json:"replayed"`
	// Failed were refused by their destination; they are still in the dead-letter queue. Failures says why.
	Failed int `json:"failed"`
	// Gone were no longer in the dead-letter queue, or in somebody else's hands.
	Gone int `json:"gone"`
	// Left were not tried.
	Left int `json:"left"`
	// Skipped, of what a stream received, match the filter and may not be replayed. A plan tells its own.
	Skipped int `json:"skipped,omitempty"`
	// More says that a stream has not come to the end of its queue, or not to all that is in it.
	More bool `json:"more,omitempty"`

	// Undeleted, of the replayed, could not be deleted from the dead-letter queue: resume deletes them.
	Undeleted int `json:"undeleted"`
	// Ambiguous, of the replayed, were sent again because an answer was lost, or more than one: there may be as many more of
	// each.
	Ambiguous int `json:"ambiguous"`
	// Unsure, of those that were not replayed, may have been: they were sent, and the answers were lost.
	Unsure int `json:"unsure,omitempty"`
	// Returned, of the replayed, died again meanwhile; Returns are the first of them.
	Returned int      `json:"returned"`
	Returns  []Return `json:"returns,omitempty"`
	// Unwatched, of the replayed, cannot be recognised if they return: no room for a mark, or no worker of
	// this program behind the queue.
	Unwatched int `json:"unwatched"`
	// Released were given back to the dead-letter queue as they were.
	Released int `json:"released"`
	// Hidden could not be given back: the queue shows them again at HiddenUntil.
	Hidden      int       `json:"hidden"`
	HiddenUntil time.Time `json:"hidden_until,omitzero"`

	Failures []Failures     `json:"failures,omitempty"`
	To       map[string]int `json:"to,omitempty"` // replayed, by destination
	Watched  time.Duration  `json:"watched_ns"`   // for how long returns were awaited after the last was sent
	Took     time.Duration  `json:"took_ns"`
}

// Failures are messages that were refused for the same reason.
type Failures struct {
	Why     string `json:"why"`
	Count   int    `json:"count"`
	Example string `json:"example"` // a MessageId
}

// Whole reports whether everything chosen was replayed, deleted from the dead-letter queue, and has not
// come back, and whether nothing was left unseen that might have been chosen.
func (r *Report) Whole() bool {
	return r.Outcome == Completed && r.Replayed == r.Selected && r.Undeleted == 0 && r.Returned == 0 && !r.More
}
