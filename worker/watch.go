package worker

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/stationmaster/worker/doctor"
	"github.com/stationmaster/worker/internal/pause"
	"github.com/stationmaster/worker/topology"
)

// watchEvery is how often the queue's own settings are read again: four requests an hour, beside the
// 180 receives of an idle queue.
const watchEvery = 15 * time.Minute

// watch compares the queue's own settings with what its jobs need, now and then, as the doctor does. They
// are somebody's to change while the worker runs.
func (s *station) watch(ctx context.Context, attributes map[string]string) {
	said := s.compare(ctx, attributes, s.w.verdict.said())
	for pause.For(ctx, watchEvery) == nil {
		if attributes, err := s.w.api.QueueAttributes(ctx, s.url); err == nil {
			said = s.compare(ctx, attributes, said)
		}
	}
}

// compare tells what does not fit and has not been said; it returns all that does not fit. Settings that
// could not be read fit.
func (s *station) compare(ctx context.Context, attributes map[string]string, said []string) (found []string) {
	name := s.queue.Name
	state := &topology.State{Account: s.w.account, Queues: map[string]*topology.QueueState{
		name: {Name: name, ARN: s.w.account.QueueARN(name), URL: s.url, Attributes: attributes},
	}}
	work := workOf(s.w.loaded.Config, s.w.o.Jobs)
	for _, f := range doctor.Compare(doctor.Options{Topology: s.w.wanted, State: state, Work: work}, name) {
		text := f.Error()
		found = append(found, text)
		if !slices.Contains(said, text) {
			tellFinding(ctx, s.log, &f)
		}
	}
	return found
}

func seconds(text string) time.Duration {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}
