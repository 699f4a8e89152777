package dlqreplay

import (
	"errors"
	"time"

	"github.com/stationmaster/worker/queue"
)

// Term is one condition on dead letters. Keys: group, job, class, id, since, until, deaths, attr, where,
// unannotated.
type Term struct {
	Key, Value string
	Not        bool
}

// Filter chooses dead letters: terms of one key are alternatives, those of different keys must all hold,
// and those with Not must not. Each name of an attribute is a key of its own. The empty filter takes
// everything.
type Filter []Term

// ErrUnchecked is the answer of a Check that cannot tell: nobody here knows the job.
var ErrUnchecked = errors.New("not checked")

// Judge says what may become of a dead letter that was chosen.
type Judge struct {
	// MaxDeaths is the most deaths of a dead letter that is still replayed; 0 is no limit.
	MaxDeaths int
	// Check decodes a message as its job would; nil: nothing is checked. ErrUnchecked is no fault.
	Check func(l *Letter, m *queue.Message) error
	// To finds the destination; the error says why there is none.
	To func(l *Letter) (*Destination, error)
	// Asks reports that replays of a job need consent; nil: none do.
	Asks func(job string) bool
	// Begun names, by MessageId, the run that has begun to send a message and has not ended: see Store.Begun.
	Begun map[string]string
	// Limit is the most that are chosen, oldest first; 0 is no limit.
	Limit int
	// BreakOrder, of a FIFO queue, replays also what follows something that is not replayed.
	BreakOrder bool
}

// Skip is why a dead letter that was chosen is not replayed.
type Skip string

// Reasons to skip.
const (
	SkipExhausted Skip = "exhausted" // it has died too often
	SkipCheck     Skip = "check"     // it cannot be decoded by this build
	SkipNowhere   Skip = "nowhere"   // nobody knows where it belongs
	SkipTooLarge  Skip = "too_large" // for its destination
	SkipAsks      Skip = "asks"      // its job wants to be asked
	SkipBegun     Skip = "begun"     // another run, which can be resumed, has sent it or begun to
	SkipGroup     Skip = "group"     // FIFO: something before it in its group is not replayed
)

// Plan is what a scan found and what a replay of it would do.
type Plan struct {
	ID      string    `json:"id"`
	DLQ     string    `json:"dlq"`
	DLQARN  string    `json:"dlq_arn"`
	FIFO    bool      `json:"fifo,omitempty"`
	Filter  Filter    `json:"filter,omitempty"`
	Created time.Time `json:"created"`

	// Scanned dead letters are held, of about Total; Complete says that these are all of them.
	Scanned  int   `json:"scanned"`
	Total    int64 `json:"total"`
	Complete bool  `json:"complete"`
	// Why says why it is not complete.
	Why  string        `json:"why,omitempty"`
	Took time.Duration `json:"took_ns"`
	// MessageGroups (FIFO) had their first messages seen.
	MessageGroups int `json:"message_groups,omitempty"`
	// Elsewhere were in the hands of somebody else when the scan began.
	Elsewhere int64 `json:"elsewhere,omitempty"`

	Groups []Group `json:"groups"`
	// Matched is how many the filter chose; Selected are those that would be replayed, oldest first.
	Matched  int            `json:"matched"`
	Selected []string       `json:"selected"`
	Skipped  []Skipped      `json:"skipped,omitempty"`
	To       map[string]int `json:"to,omitempty"` // selected, by destination
	// Unjudged are those on which a where expression failed: they count as not matching, whether Not or
	// not. UnjudgedWhy is the first failure, UnjudgedExample its MessageId.
	Unjudged        int    `json:"unjudged,omitempty"`
	UnjudgedWhy     string `json:"unjudged_why,omitempty"`
	UnjudgedExample string `json:"unjudged_example,omitempty"`
	// Checked of the matched were decoded by this build without a fault.
	Checked int `json:"checked"`
	// Deaths counts the matched by how often they died; those of which nobody knows have 0.
	Deaths map[int]int `json:"deaths,omitempty"`
	Bytes  int64       `json:"bytes"` // of the selected
}

// Group is what died of one cause.
type Group struct {
	Fingerprint string    `json:"fingerprint"`
	Kind        Kind      `json:"kind"`
	Job         string    `json:"job,omitempty"`
	Class       string    `json:"class,omitempty"`
	Reason      string    `json:"reason,omitempty"`
	Count       int       `json:"count"`
	Matched     int       `json:"matched"`
	Selected    int       `json:"selected"`
	First       time.Time `json:"first,omitzero"` // died
	Last        time.Time `json:"last,omitzero"`
	// Expires is when the first of them is deleted by the queue's retention; zero when it is not known.
	// What a worker sent has its whole retention; what SQS moved has what was left of it.
	Expires time.Time `json:"expires,omitzero"`
	Example string    `json:"example"` // a MessageId
}

// Skipped are matched dead letters that would not be replayed, for one reason.
type Skipped struct {
	Why   Skip   `json:"why"`
	Job   string `json:"job,omitempty"`
	Text  string `json:"text,omitempty"`
	Count int    `json:"count"`
}
