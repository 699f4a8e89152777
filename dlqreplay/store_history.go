package dlqreplay

import (
	"slices"
	"time"

	"github.com/stationmaster/worker/internal/journal"
)

// Summary is one run of the history.
type Summary struct {
	ID     string `json:"id"`
	Path   string `json:"path"`
	Header Header `json:"header"`
	// Running names the process that has the journal open; empty when none has.
	Running string `json:"running,omitempty"`
	// Report is how the run ended; nil when it was killed, or runs.
	Report *Report   `json:"report,omitempty"`
	Ended  time.Time `json:"ended,omitzero"`
	// Last is when the journal was last written.
	Last time.Time `json:"last,omitzero"`
	// Counts of the chosen dead letters, by how far the run came with them.
	Chosen    int `json:"chosen"`
	Untouched int `json:"untouched"`
	Sending   int `json:"sending"`
	Sent      int `json:"sent"`
	Deleted   int `json:"deleted"`
	Refused   int `json:"refused"`
	Returned  int `json:"returned"`
	// Fault says why the journal cannot be read; all but ID and Path may be missing then.
	Fault string `json:"fault,omitempty"`
}

// Resumable reports whether resuming the run would do more.
func (s *Summary) Resumable() bool {
	return s.Fault == "" && s.Running == "" &&
		(s.Report == nil || s.Untouched+s.Sending+s.Sent > 0)
}

// History returns the runs of this machine, the latest first. A journal that cannot be read is in it, with
// its Fault.
func (s Store) History() ([]Summary, error) {
	names, err := s.names(journalEnd)
	if err != nil {
		return nil, err
	}
	all := make([]Summary, len(names))
	for i, id := range names {
		all[i] = s.summary(id)
	}
	slices.SortStableFunc(all, func(a, b Summary) int { return b.Header.Started.Compare(a.Header.Started) })
	return all, nil
}

func (s Store) summary(id string) Summary {
	sum := Summary{ID: id, Path: s.path(id, journalEnd)}
	past, err := readPast(sum.Path)
	if err != nil {
		sum.Fault = err.Error()
		return sum
	}
	sum.Running, _ = journal.InUse(sum.Path)
	sum.Header, sum.Report, sum.Ended, sum.Last = past.Header, past.Report, past.Ended, past.Last
	sum.Chosen, sum.Untouched, sum.Returned = past.Len(), past.Count(Chosen), past.Returned
	sum.Sending, sum.Sent, sum.Deleted, sum.Refused = past.Count(Sending), past.Count(Sent), past.Count(Deleted), past.Count(Refused)
	return sum
}
