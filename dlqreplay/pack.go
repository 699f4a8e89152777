package dlqreplay

import "github.com/stationmaster/worker/queue"

// parcel is one letter on its way.
type parcel struct {
	letter *Letter
	to     *Destination
	// message is what is sent: loaded when its turn comes, and let go when it has been.
	message queue.Message
	// marked: its return would be recognised.
	marked bool
	// again: an answer was lost, so that there may be two when it is accepted.
	again bool
	// announced: the journal of an earlier run says already that it is being sent; doubted: and counts it
	// among those that there may be two of.
	announced, doubted bool
	// tries counts failures that may pass.
	tries int
	// flying: it is on its way; see tally.
	flying bool
	// unsure: nobody knows whether it was accepted; doubtful: nor will, when it has arrived.
	unsure, doubtful bool
	// lost: the last answer was.
	lost bool
	// kept: message is not on the shelf, and must stay.
	kept bool
}

// batches divides parcels for one destination into batches that SQS takes: at most ten messages, and at
// most one mebibyte of them. A parcel over a mebibyte travels alone, to be refused by name.
func batches(ps []*parcel) [][]*parcel {
	var all [][]*parcel
	from, bytes := 0, 0
	for i, p := range ps {
		size := p.message.Size()
		if i > from && (i-from == queue.MaxBatch || bytes+size > queue.MaxBytes) {
			all = append(all, ps[from:i])
			from, bytes = i, 0
		}
		bytes += size
	}
	if from < len(ps) {
		all = append(all, ps[from:])
	}
	return all
}

// limit is the largest message that a destination takes.
func (d *Destination) limit() int {
	if d.MaxBytes > 0 {
		return d.MaxBytes
	}
	return queue.MaxBytes
}

// key tells destinations apart.
func (d *Destination) key() string { return d.ARN + " " + d.Name }

// unannounced are the MessageIds of those whose sending is yet to be recorded.
func unannounced(ps []*parcel) (ids []string) {
	for _, p := range ps {
		if !p.announced {
			ids = append(ids, p.letter.MessageID)
		}
	}
	return ids
}

// idsOf are the MessageIds of what is on its way.
func idsOf(ps []*parcel) []string {
	ids := make([]string, len(ps))
	for i, p := range ps {
		ids[i] = p.letter.MessageID
	}
	return ids
}
