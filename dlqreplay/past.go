package dlqreplay

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/stationmaster/worker/internal/journal"
)

// State is how far a run came with a dead letter.
type State uint8

// States of a dead letter in a run.
const (
	NotChosen State = iota
	Chosen
	Sending // about to be sent, or sent and not answered
	Sent    // accepted by its destination, not deleted from the dead-letter queue
	Deleted
	Refused // by its destination
	states
)

func (s State) String() string {
	return [...]string{"not chosen", "chosen", "sending", "sent", "deleted", "refused", "unknown"}[min(s, states)]
}

// firstReturns is how many returns a Past keeps.
const firstReturns = 20

// Past is what a run did, as its journal tells. It is not safe for concurrent use while it is read.
type Past struct {
	// Header is what the run is.
	Header Header
	// Report is how it ended last; nil when it was killed, or runs.
	Report *Report
	// Ended is when.
	Ended time.Time
	// Last is when its last line was written.
	Last time.Time
	// Returned counts the messages that came back; Returns are the first of them.
	Returned int
	Returns  []Return
	// Ambiguous counts those that were sent again because an answer was lost.
	Ambiguous int

	ids    ids
	made   ids // by number of the dead letter
	states []State
	count  [states]int
	to     []uint8  // of the dead letter; an index of places
	places []string // the first is that of what was never sent
	toSent []int
	again  map[uint32]bool
	since  map[uint32]time.Time // when the first send was announced of those of which no answer is known
	lines  int
}

func newPast() *Past {
	return &Past{again: map[uint32]bool{}, since: map[uint32]time.Time{}, places: []string{""}, toSent: []int{0}}
}

func readPast(path string) (*Past, error) {
	p := newPast()
	if err := journal.Read(path, p.line); err != nil {
		return nil, err
	}
	return p, p.begun(path)
}

// begun reports a journal whose first line never reached the disk.
func (p *Past) begun(path string) error {
	if p.Header.ReplayID == "" {
		return fmt.Errorf("%s: its run was killed before it began: nothing was sent, and the file can be removed", path)
	}
	return nil
}

// State tells how far the run came with a dead letter.
func (p *Past) State(id string) State {
	if n, ok := p.ids.find(id); ok {
		return p.states[n]
	}
	return NotChosen
}

// New returns the id that a dead letter got from its destination; empty when it was not sent.
func (p *Past) New(id string) string {
	if n, ok := p.ids.find(id); ok {
		return p.made.at(n)
	}
	return ""
}

// Len is how many dead letters were chosen.
func (p *Past) Len() int { return len(p.states) }

// Count is how many dead letters are in a state now; those that were not chosen are not counted.
func (p *Past) Count(s State) int {
	if s >= states {
		return 0
	}
	return p.count[s]
}

// All returns the chosen dead letters in the order in which they were chosen.
func (p *Past) All() iter.Seq2[string, State] {
	return func(yield func(string, State) bool) {
		for n := range p.states {
			if !yield(p.ids.at(uint32(n)), p.states[n]) {
				return
			}
		}
	}
}

// To counts what was accepted, by destination.
func (p *Past) To() map[string]int {
	to := make(map[string]int, len(p.places))
	for i, n := range p.toSent {
		if i > 0 && n > 0 {
			to[p.places[i]] += n
		}
	}
	return to
}

func (p *Past) line(line []byte) error {
	var e entry
	if err := json.Unmarshal(line, &e); err != nil {
		return err
	}
	p.lines++
	if (e.Run != nil) != (p.lines == 1) {
		return errors.New("is no journal of a run: its header must be the first line, and the only one")
	}
	p.Last = e.At
	switch {
	case e.Run != nil:
		if e.Run.V > HeaderVersion {
			return fmt.Errorf("is of version %d, this build reads up to %d: use the build that wrote it (%s)", e.Run.V, HeaderVersion, e.Run.Build)
		}
		p.Header = *e.Run
	case e.Select != nil:
		for _, id := range e.Select {
			p.number(id)
		}
	case e.Sending != nil:
		place := p.place(e.Sending.To)
		for _, id := range e.Sending.IDs {
			p.sending(id, place, e.At)
		}
	case e.Sent != nil:
		return p.sent(e.Sent)
	case e.Deleted != nil:
		for _, id := range e.Deleted {
			p.move(p.number(id), Deleted)
		}
	case e.Returned != nil:
		p.Returned++
		if len(p.Returns) < firstReturns {
			p.Returns = append(p.Returns, *e.Returned)
		}
	case e.End != nil:
		p.Report, p.Ended = e.End, e.At
		return nil
	}
	// What follows an end is a run that was resumed.
	p.Report, p.Ended = nil, time.Time{}
	return nil
}

func (p *Past) sending(id string, place uint8, at time.Time) {
	n := p.number(id)
	switch {
	case p.states[n] != Sending:
		p.since[n] = at
	case !p.again[n]:
		p.again[n] = true
		p.Ambiguous++
	}
	p.to[n] = place
	p.move(n, Sending)
}

func (p *Past) sent(e *sentEntry) error {
	if len(e.Old) != len(e.New) {
		return fmt.Errorf("%d sent with %d new ids", len(e.Old), len(e.New))
	}
	for i, id := range e.Old {
		n := p.number(id)
		if s := p.states[n]; s != Sent && s != Deleted {
			p.toSent[p.to[n]]++
		}
		p.made.set(n, e.New[i])
		p.move(n, Sent)
	}
	for _, r := range e.Refused {
		p.move(p.number(r.ID), Refused)
	}
	return nil
}

func (p *Past) move(n uint32, to State) {
	if to != Sending {
		delete(p.since, n)
	}
	p.count[p.states[n]]--
	p.count[to]++
	p.states[n] = to
}

// number returns the number of a dead letter, a new one when it was not chosen before.
func (p *Past) number(id string) uint32 {
	n, isNew := p.ids.add(id)
	if isNew {
		p.made.grow()
		p.states = append(p.states, Chosen)
		p.to = append(p.to, 0)
		p.count[Chosen]++
	}
	return n
}

// place returns the number of a destination; beyond 254 of them the last stands for the rest.
func (p *Past) place(to string) uint8 {
	for i, name := range p.places {
		if name == to && i > 0 {
			return uint8(i)
		}
	}
	if len(p.places) == 255 {
		p.places, p.toSent = append(p.places, "others"), append(p.toSent, 0)
	}
	if len(p.places) == 256 {
		return 255
	}
	p.places, p.toSent = append(p.places, to), append(p.toSent, 0)
	return uint8(len(p.places) - 1)
}
