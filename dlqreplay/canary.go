package dlqreplay

import "slices"

// canaries picks n of the letters, one of each group of causes in turn, the oldest first, and returns
// their places in ascending order. Letters that first denies are passed over.
func canaries(ls []*Letter, n int, may func(*Letter) bool) []int {
	if n <= 0 {
		return nil
	}
	var order []string
	byCause := map[string][]int{}
	for i, l := range ls {
		if !may(l) {
			continue
		}
		cause := l.Job + " " + l.Fingerprint
		if byCause[cause] == nil {
			order = append(order, cause)
		}
		byCause[cause] = append(byCause[cause], i)
	}
	var picked []int
	for len(picked) < n {
		before := len(picked)
		for _, cause := range order {
			if rest := byCause[cause]; len(rest) > 0 && len(picked) < n {
				picked, byCause[cause] = append(picked, rest[0]), rest[1:]
			}
		}
		if len(picked) == before {
			break
		}
	}
	slices.Sort(picked)
	return picked
}

// split takes the canary out of what is sent. There is none when there is nothing to spare by it, and none
// in a resumed run whose canary has stayed away. Of a FIFO group only the first may go, best one with
// nothing behind it, which would hide its return.
func (r *run) split(ps []*parcel) (first, others []*parcel) {
	n := r.o.Pace.Canary
	if n <= 0 || len(ps) <= n && !r.o.Stream || r.proved() {
		return nil, ps
	}
	ls := make([]*Letter, len(ps))
	for i, p := range ps {
		ls[i] = p.letter
	}
	picked := canaries(ls, n, func(*Letter) bool { return true })
	if r.held.dlq.FIFO {
		heads, count := map[string]*Letter{}, map[string]int{}
		for _, l := range r.held.Letters() {
			if count[l.GroupID]++; heads[l.GroupID] == nil {
				heads[l.GroupID] = l
			}
		}
		picked = canaries(ls, n, func(l *Letter) bool { return count[l.GroupID] == 1 })
		if len(picked) < n {
			picked = canaries(ls, n, func(l *Letter) bool { return heads[l.GroupID] == l })
		}
	}
	for i, p := range ps {
		if len(picked) > 0 && picked[0] == i {
			picked = picked[1:]
			first = append(first, p)
		} else {
			others = append(others, p)
		}
	}
	return first, others
}

// proved reports that an earlier run of this journal got beyond its canary.
func (r *run) proved() bool {
	past := r.o.Past
	if past == nil || past.Report != nil && past.Report.Outcome == Stopped {
		return false
	}
	return past.Count(Sent)+past.Count(Deleted) > r.o.Pace.Canary
}
