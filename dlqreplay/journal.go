package dlqreplay

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/stationmaster/worker/internal/journal"
)

// idsPerLine bounds the lines of a selection.
const idsPerLine = 1000

// entry is one line of a journal; one of its fields is set.
type entry struct {
	Run      *Header       `json:"run,omitempty"`
	Select   []string      `json:"select,omitempty"`
	Sending  *sendingEntry `json:"sending,omitempty"`
	Sent     *sentEntry    `json:"sent,omitempty"`
	Deleted  []string      `json:"deleted,omitempty"`
	Returned *Return       `json:"returned,omitempty"`
	End      *Report       `json:"end,omitempty"`
	At       time.Time     `json:"at"`
}

type sendingEntry struct {
	IDs []string `json:"ids"`
	To  string   `json:"to"`
}

type sentEntry struct {
	Old     []string  `json:"old,omitempty"`
	New     []string  `json:"new,omitempty"`
	Refused []Refusal `json:"refused,omitempty"`
}

// Refusal is a dead letter that its destination did not take.
type Refusal struct {
	ID  string `json:"id"`
	Why string `json:"why"`
}

// Journal is the record of a run on disk, written before what it tells is done, so that a run that ended
// early can be resumed. It is safe for concurrent use. Its first error is final: nobody knows then what is
// on the disk, and no more may be sent.
type Journal struct {
	id, path string
	log      *journal.Log
}

// ID is the ReplayID of the run.
func (j *Journal) ID() string { return j.id }

// Path is the journal's file.
func (j *Journal) Path() string { return j.path }

// Select records which dead letters were chosen. It returns when that is on the disk.
func (j *Journal) Select(ids []string) error {
	var entries []entry
	for len(ids) > 0 {
		n := min(len(ids), idsPerLine)
		entries = append(entries, entry{Select: ids[:n]})
		ids = ids[n:]
	}
	return j.append(entries...)
}

// Sending records that dead letters are about to be sent. It returns when that is on the disk. Recorded
// again, before Sent, it says that an answer was lost and they are sent again.
func (j *Journal) Sending(ids []string, to string) error {
	if len(ids) == 0 {
		return nil
	}
	return j.append(entry{Sending: &sendingEntry{IDs: ids, To: to}})
}

// Sent records what a destination answered: new[i] is its id of the dead letter old[i]. It returns when
// that is on the disk; only then may the dead letters be deleted.
func (j *Journal) Sent(old, made []string, refused []Refusal) error {
	if len(old) != len(made) {
		return fmt.Errorf("journal %s: %d sent with %d new ids", j.id, len(old), len(made))
	}
	if len(old) == 0 && len(refused) == 0 {
		return nil
	}
	return j.append(entry{Sent: &sentEntry{Old: old, New: made, Refused: refused}})
}

// Deleted records that dead letters are deleted. It does not wait for the disk: a delete that is not
// recorded is only done again.
func (j *Journal) Deleted(ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	lines, err := encode(entry{Deleted: ids})
	if err != nil {
		return err
	}
	return j.log.Write(lines...)
}

// Returned records that a replayed message died again. It does not wait for the disk.
func (j *Journal) Returned(r Return) error {
	lines, err := encode(entry{Returned: &r})
	if err != nil {
		return err
	}
	return j.log.Write(lines...)
}

// End records how the run ended. It returns when that is on the disk.
func (j *Journal) End(r *Report) error { return j.append(entry{End: r}) }

// Close closes the journal. What was recorded is on the disk then.
func (j *Journal) Close() error { return j.log.Close() }

func (j *Journal) append(entries ...entry) error {
	lines, err := encode(entries...)
	if err != nil {
		return err
	}
	return j.log.Append(lines...)
}

func encode(entries ...entry) ([][]byte, error) {
	now := time.Now().UTC()
	lines := make([][]byte, len(entries))
	for i, e := range entries {
		e.At = now
		line, err := json.Marshal(e)
		if err != nil {
			return nil, fmt.Errorf("journal: %w", err)
		}
		lines[i] = line
	}
	return lines, nil
}
