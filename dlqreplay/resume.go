package dlqreplay

import (
	"errors"
	"time"

	"github.com/stationmaster/worker/internal/pause"
	"github.com/stationmaster/worker/queue"
)

// chosen makes parcels of what was chosen, and records the choice; false when nothing may be sent.
func (r *run) chosen(c contexts) (ps []*parcel, ok bool) {
	if r.o.Past != nil {
		return r.resumed(c), c.feed.Err() == nil
	}
	if r.o.Plan == nil {
		return nil, true
	}
	ids := r.o.Plan.Selected
	if err := r.o.Journal.Select(ids); err != nil {
		r.fail(err)
		r.tally.count(func(t *Report) { t.Selected = len(ids) })
		return nil, false
	}
	r.tally.count(func(t *Report) { t.Selected = len(ids) })
	for _, id := range ids {
		if p := r.parcel(id); p != nil {
			ps = append(ps, p)
		}
	}
	return ps, true
}

// parcel makes a parcel of a letter that was chosen; nil when it is gone, or nobody knows where to send it.
func (r *run) parcel(id string) *parcel {
	l := r.held.find(id)
	if l == nil {
		r.tally.count(func(t *Report) { t.Gone++ })
		return nil
	}
	to, err := r.o.Judge.To(l)
	if err == nil && to == nil {
		err = errors.New("nobody knows where it belongs; name a queue with --to")
	}
	if err != nil {
		if err := r.o.Journal.Sent(nil, nil, []Refusal{{ID: id, Why: err.Error()}}); err != nil {
			r.fail(err)
		}
		r.tally.refused(id, err.Error())
		return nil
	}
	return &parcel{letter: l, to: to}
}

// resumed goes on where an earlier run ended:
//
//	not sent                       it is sent
//	sending, and no answer known   it is sent again; there may be two, unless SQS still knows its deduplication id
//	sent, not deleted              it is deleted, and nothing else
//	deleted                        it is done
func (r *run) resumed(c contexts) (ps []*parcel) {
	past := r.o.Past
	missing := map[string]State{}
	r.tally.count(func(t *Report) {
		t.Selected, t.Replayed = past.Len(), past.Count(Sent)+past.Count(Deleted)
		t.Returned, t.Returns, t.Ambiguous = past.Returned, append(t.Returns, past.Returns...), past.Ambiguous
		t.To = past.To()
	})
	r.watch.resume(r.tally.so())
	for _, l := range r.held.Letters() {
		if replayedBy(l, r.o.ReplayID) && past.State(l.MessageID) == NotChosen {
			r.watch.back(l)
		}
	}
	var order []string
	for id, state := range past.All() {
		if state == Sent {
			r.sent.add([]string{id})
		}
		if state == Deleted {
			r.sent.add([]string{id})
			r.sent.deleted([]string{id})
		} else if r.held.find(id) == nil {
			missing[id] = state
		}
		order = append(order, id)
	}
	sure := r.await(c, missing)
	var undeleted, gone []string
	for _, id := range order {
		switch state, held := past.State(id), r.held.find(id) != nil; {
		case state == Deleted:
		case !held && c.feed.Err() != nil:
			// Nobody knows yet whether it is hidden or gone.
		case state == Sent && held:
			undeleted = append(undeleted, id)
		case state == Sent && !sure:
			// It may be in somebody's hands, and shows up again then.
		case state == Sent:
			// Deleted, and the run was killed before it could say so.
			gone = append(gone, id)
		default:
			if p := r.parcel(id); p != nil {
				r.recall(p, state)
				ps = append(ps, p)
			}
		}
	}
	r.sent.deleted(gone)
	if err := r.o.Journal.Deleted(gone); err != nil {
		r.fail(err)
	}
	for len(undeleted) > 0 {
		n := min(len(undeleted), queue.MaxBatch)
		r.deletes <- undeleted[:n]
		undeleted = undeleted[n:]
	}
	return ps
}

// recall tells a parcel what an earlier run had begun with it.
func (r *run) recall(p *parcel, state State) {
	if state == Sending {
		p.doubted = r.o.Past.resent(p.letter.MessageID)
		p.again = !p.doubted && r.doubtful(p)
		p.announced = !p.again
		r.tally.doubt(p)
	}
}

// sendingSince is when the first send of a letter was announced, of which no answer is known.
func (p *Past) sendingSince(id string) time.Time {
	n, _ := p.ids.find(id)
	return p.since[n]
}

// resent reports that a letter was sent again already.
func (p *Past) resent(id string) bool {
	n, ok := p.ids.find(id)
	return ok && p.again[n]
}

// doubtful reports that what the earlier run was sending may exist twice when it is sent again. SQS counts
// its five minutes from the first send, however many runs have gone on since.
func (r *run) doubtful(p *parcel) bool {
	return !p.to.FIFO || p.to.Unchanged || time.Since(r.o.Past.sendingSince(p.letter.MessageID)) > forgets-patience
}

// replayedBy reports that a letter was sent by a replay, and died again.
func replayedBy(l *Letter, replayID string) bool {
	return l.Record.Replay != nil && l.Record.Replay.ID == replayID
}

// find is Get while letters are still being added.
func (h *Held) find(id string) *Letter {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.byID[id]
}

// resume continues the counts of an earlier run.
func (w *watcher) resume(base Report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.base = base
	for _, back := range base.Returns {
		w.returned[back.MessageID] = true
	}
	w.recorded = base.Returned - len(base.Returns)
}

// await waits for letters that a run which was killed still hides: until they have shown up, or nothing is
// hidden any more, or the longest hold that there is is over: that run may have held more than there seems
// to be now, and so for longer. It reports whether what has not shown up is in nobody's hands.
func (r *run) await(c contexts, missing map[string]State) (sure bool) {
	dlq := r.held.dlq
	if len(missing) == 0 || dlq.Hold <= 0 {
		return true
	}
	receiver := &receiver{dlq: dlq}
	until := time.Now().Add(max(dlq.Hold, mostHold) + settleTick)
	hidden := time.Now() // when something was known to be hidden last
	for len(missing) > 0 && c.feed.Err() == nil && time.Now().Before(until) && time.Since(hidden) < countsSettle {
		r.tally.events.tellOften(Event{Kind: Waiting, Done: len(missing), Until: until})
		ds, err := receiver.receive(c.work, queue.MaxBatch)
		for i := range ds {
			if _, err := r.held.add(&ds[i]); err != nil {
				r.fail(err)
			}
			delete(missing, ds[i].MessageID)
		}
		if err != nil {
			if forGood(err) {
				r.fail(err)
			}
			if c.work.Err() == nil { // else it is the end, and not tried again
				r.tally.events.tellOften(Event{Kind: Retrying, Err: err.Error()})
			}
		}
		held, _ := r.held.keeper.counts()
		now, err := dlq.Counts(c.work)
		// What is visible in a FIFO queue and does not come is behind what is held of its group.
		if comes := len(ds) > 0 || now.Visible > 0 && !dlq.FIFO; err != nil || comes || now.InFlight > int64(held) {
			hidden = time.Now()
		}
		if len(ds) == 0 && pause.For(c.feed, settleTick) != nil {
			break
		}
	}
	return len(missing) == 0 || time.Since(hidden) >= countsSettle
}
