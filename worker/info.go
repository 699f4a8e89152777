package worker

import "github.com/stationmaster/worker/topology"

// Station describes one queue of a worker, for people.
type Station struct {
	Queue string `json:"queue"`
	Job   string `json:"job"`
	DLQ   string `json:"dlq"`
	// Topics are the topics that are subscribed to it, in the order of the configuration.
	Topics []string `json:"topics"`
	Slots  int      `json:"slots"`
	// State is what the poller is doing. Before it runs: "ready", or "missing" when New did not find
	// the queue.
	State string `json:"state"`
}

// Stations describes the queues, in the order of the configuration.
func (w *Worker) Stations() []Station {
	all := make([]Station, 0, len(w.stations))
	for _, s := range w.stations {
		about := Station{Queue: s.queue.Name, Job: s.label(), DLQ: s.queue.DLQ, Topics: topicsOf(w.wanted, s.queue.Name), Slots: s.slots, State: "ready"}
		if state, open := s.state(); open {
			about.State = state.State
		} else if w.missing[s.queue.Name] {
			about.State = "missing"
		}
		all = append(all, about)
	}
	return all
}

func topicsOf(t topology.Topology, queue string) []string {
	topics := []string{}
	for _, s := range t.Subscriptions {
		if s.Queue == queue {
			topics = append(topics, s.Topic)
		}
	}
	return topics
}
