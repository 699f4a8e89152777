package worker

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/stationmaster/worker/internal/config"
	"github.com/stationmaster/worker/topology"
)

// Network is the topology of a configuration as a map has it.
type Network struct {
	Topics []MapTopic `json:"topics"`
	// Sidings are the queues that no topic leads to: something sends to them past every topic.
	Sidings []MapTrack `json:"sidings"`
}

// MapTopic is a topic and all that is subscribed to it.
type MapTopic struct {
	Name   string     `json:"name"`
	FIFO   bool       `json:"fifo"`
	Ours   bool       `json:"ours"` // managed by this configuration
	Tracks []MapTrack `json:"tracks"`
}

// MapTrack is one subscription and what is at its end.
type MapTrack struct {
	Protocol string `json:"protocol"`
	To       string `json:"to"`
	Ours     bool   `json:"ours"` // its end is managed by this configuration, or is this worker
	Job      string `json:"job,omitempty"`
	Slots    int    `json:"slots,omitempty"`
	Filter   string `json:"filter,omitempty"`
	FilterOn string `json:"filter_on,omitempty"`
	Raw      bool   `json:"raw,omitempty"`
	// DeliveryDLQ takes what SNS cannot deliver, DLQ what could not be processed; SQS itself moves a
	// message there after MaxReceives.
	DeliveryDLQ string `json:"delivery_dlq,omitempty"`
	DLQ         string `json:"dlq,omitempty"`
	MaxReceives int    `json:"max_receives,omitempty"`
}

// Map reads the configuration and draws from it alone: AWS is not asked.
func Map(o Options) (*Network, error) {
	o.fill()
	loaded, err := load(&o)
	if err != nil {
		return nil, err
	}
	c := loaded.Config
	n := &Network{Topics: []MapTopic{}, Sidings: []MapTrack{}}
	led := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(c.Topics)) {
		t := c.Topics[key]
		m := MapTopic{Name: t.Name, FIFO: t.FIFO, Ours: t.Manage, Tracks: []MapTrack{}}
		for _, s := range c.Subscriptions {
			if s.Topic == key {
				m.Tracks = append(m.Tracks, trackOf(c, s))
				led[s.Endpoint] = true
			}
		}
		n.Topics = append(n.Topics, m)
	}
	for _, key := range queueOrder(c) {
		if !led[key] {
			t := MapTrack{Protocol: "sqs"}
			t.leadTo(key, c.Queues[key])
			n.Sidings = append(n.Sidings, t)
		}
	}
	return n, nil
}

func trackOf(c config.Config, s config.Subscription) MapTrack {
	t := MapTrack{Protocol: s.Protocol, To: topology.Shown(s.Endpoint), FilterOn: s.FilterOn, Raw: s.Raw, Job: s.Job}
	if s.Served() {
		t.To, t.Ours, t.Slots = c.Ingress.URL(s.Endpoint), true, *s.Slots
	}
	if len(s.Filter) > 0 {
		if text, err := json.Marshal(s.Filter); err == nil {
			t.Filter = string(text)
		}
	}
	if !s.DLQ.Off {
		t.DeliveryDLQ = s.DLQ.Name
	}
	if q, ours := c.Queues[s.Endpoint]; ours && s.Protocol == "sqs" {
		t.leadTo(s.Endpoint, q)
	}
	return t
}

// leadTo puts a queue of the configuration at the end of a track.
func (t *MapTrack) leadTo(key string, q config.Queue) {
	t.To, t.Ours, t.Job, t.Slots = or(q.Name, key), q.Manage, q.Job, q.Slots
	if len(q.Jobs) > 0 {
		t.Job = strings.Join(slices.Compact(slices.Sorted(maps.Values(q.Jobs))), ", ")
	}
	if q.Manage && !q.DLQ.Off {
		t.DLQ, t.MaxReceives = q.DLQ.Name, q.MaxReceiveCount
	}
}
