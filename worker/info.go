package worker

import "github.com/stationmaster/worker/topology"

// Station describes one queue of a worker, for people.
type Station struct {
	Queue, Job, DLQ string
	// Topics are the topics that are subscribed to it, in the order of the configuration.
	Topics []string
	Slots  int
	// State is what the poller is doing; "waiting" before the queue has been found.
	State string
}

// Stations describes the queues, in the order of the configuration.
func (w *Worker) Stations() []Station {
	all := make([]Station, 0, len(w.stations))
	for _, s := range w.stations {
		about := Station{Queue: s.queue.Name, Job: s.label(), DLQ: s.queue.DLQ, Topics: topicsOf(w.wanted, s.queue.Name), Slots: s.slots, State: "waiting"}
		if state, open := s.state(); open {
			about.State = state.State
		}
		all = append(all, about)
	}
	return all
}

func topicsOf(t topology.Topology, queue string) (topics []string) {
	for _, s := range t.Subscriptions {
		if s.Queue == queue {
			topics = append(topics, s.Topic)
		}
	}
	return topics
}
