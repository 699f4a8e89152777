package worker

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stationmaster/worker/internal/config"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/topology"
)

// load reads the configuration against the registered jobs, for what runs none: plugins stay where
// they are, and publishing needs no C compiler's worker.
func load(o *Options) (*config.Loaded, error) { return config.Load(o.configOptions()) }

// loadWithJobs reads it for what looks at jobs: those of the plugins belong to them.
func loadWithJobs(o *Options) (*config.Loaded, error) {
	c := o.configOptions()
	if !o.NoPlugins {
		c.Plug = o.plug
	}
	return config.Load(c)
}

// loadToRun reads it for a worker: the jobs, too, must like their settings.
func loadToRun(o *Options) (*config.Loaded, error) {
	c := o.configOptions()
	c.AskJobs = true
	if !o.NoPlugins {
		c.Plug = o.plug
	}
	return config.Load(c)
}

// configOptions says where the configuration comes from. The error of reading it has a line for each
// fault, and each names its key: a prefix would be on the first only.
func (o *Options) configOptions() config.Options {
	return config.Options{
		File: o.ConfigFile, Environ: o.Environ, Flags: o.Flags, Layers: o.layers,
		Settings: o.settings, Jobs: o.Jobs.Names(),
	}
}

// loggerOf makes the logger; the configuration has checked the level.
func loggerOf(o *Options, loaded *config.Loaded) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(loaded.Config.Worker.LogLevel)) // info, if it were wrong
	return o.logger(level, loaded.Config.Worker.LogFormat)
}

// topologyOf turns the configuration into what AWS shall look like.
func topologyOf(c config.Config) topology.Topology {
	t := topology.Topology{Owner: c.Topology.Owner}
	for _, key := range slices.Sorted(maps.Keys(c.Topics)) {
		t.Topics = append(t.Topics, topicOf(c, key))
	}
	for _, key := range queueOrder(c) {
		q := c.Queues[key]
		wanted := queueOf(key, q)
		wanted.Scheduled = ticks(c, func(s config.Schedule) bool { return s.Queue == key })
		t.Queues = append(t.Queues, wanted)
		if _, ours := c.Queues[wanted.DLQ]; q.Manage && wanted.DLQ != "" && !ours && q.DLQRetention != usualDLQRetention {
			t.Queues = append(t.Queues, topology.Queue{Name: wanted.DLQ, Retention: q.DLQRetention, Attributes: encryption(q)})
		}
	}
	for _, s := range c.Subscriptions {
		t.Subscriptions = append(t.Subscriptions, subscriptionOf(c, s))
	}
	return t
}

// queueOrder is the order in which people see queues: that of the subscriptions, which the file
// lists, then the rest by name.
func queueOrder(c config.Config) []string {
	var order []string
	for _, s := range c.Subscriptions {
		if _, ours := c.Queues[s.Endpoint]; ours && !slices.Contains(order, s.Endpoint) {
			order = append(order, s.Endpoint)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.Queues)) {
		if !slices.Contains(order, key) {
			order = append(order, key)
		}
	}
	return order
}

// topicNames are what the topics of the configuration are called by AWS, for those that publish.
func topicNames(c config.Config) map[string]string {
	names := make(map[string]string, len(c.Topics))
	for key, t := range c.Topics {
		names[key] = or(t.ARN, or(t.Name, key))
	}
	return names
}

func queueOf(key string, q config.Queue) topology.Queue {
	wanted := topology.Queue{
		Name: or(q.Name, key), URL: q.URL, ARN: q.ARN, Unmanaged: !q.Manage, Tags: q.Tags,
		Visibility: q.VisibilityTimeout, Retention: q.Retention, MaxReceiveCount: q.MaxReceiveCount,
		Attributes: queueAttributes(q),
	}
	if !q.DLQ.Off {
		wanted.DLQ = q.DLQ.Name
	}
	return wanted
}

// usualDLQRetention is what topology gives a DLQ that nobody declared.
const usualDLQRetention = 14 * 24 * time.Hour

// specsOf are the queues to poll.
func specsOf(c config.Config) []spec {
	var all []spec
	for _, key := range queueOrder(c) {
		q := c.Queues[key]
		all = append(all, spec{
			key: key, queue: queueOf(key, q), job: q.Job, kinds: q.Jobs, rule: q.Kind,
			slots: q.Slots, prefetch: automatic(q.Prefetch, poller.Auto), receivers: automatic(q.Receivers, 0),
			visibility: q.VisibilityTimeout, timeout: q.Timeout, grace: q.UnknownGrace,
			wait: q.WaitTime, retry: q.Retry,
			fifo: q.FIFO, weight: q.Weight, rate: q.Rate, breaker: q.Breaker, paused: q.Paused, suspectAfter: q.SuspectAfter,
		})
	}
	return all
}

// automatic is a number of the configuration as package poller writes it.
func automatic(n, auto int) int {
	if n == config.Auto {
		return auto
	}
	return n
}

func or(s, otherwise string) string {
	if strings.TrimSpace(s) == "" {
		return otherwise
	}
	return s
}
