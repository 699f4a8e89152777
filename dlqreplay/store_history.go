package dlqreplay

import (
	"errors"
	"os"
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

// Begun returns, by MessageId, the run that has sent a message of a dead-letter queue, or begun to, and has
// not deleted it there: it was killed, or runs. A new run would send it again and not know; resumed, that run
// deletes what was accepted and owns up to the rest. Faults are of journals that cannot be read.
//
// What was written before since is left out: the messages of that time have expired.
func (s Store) Begun(dlqARN string, since time.Time) (runs map[string]string, faults []error) {
	names, err := s.names(journalEnd)
	if err != nil {
		return nil, []error{err}
	}
	runs = map[string]string{}
	for _, id := range names {
		path := s.path(id, journalEnd)
		if info, err := os.Stat(path); err != nil || info.ModTime().Before(since) {
			continue // it has just been removed, or is too old
		}
		past := newPast()
		err := journal.Read(path, func(line []byte) error {
			if err := past.line(line); err != nil {
				return err
			}
			if past.Header.DLQARN != dlqARN {
				return errElsewhere
			}
			return nil
		})
		switch {
		case errors.Is(err, errElsewhere):
			continue
		case err != nil:
			faults = append(faults, err)
			continue
		}
		for message, state := range past.All() {
			if state == Sending || state == Sent {
				runs[message] = id
			}
		}
	}
	return runs, faults
}

// errElsewhere ends the reading of a journal of another queue.
var errElsewhere = errors.New("of another queue")

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
