package config

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

func (c *checker) subscriptions() {
	by, served := map[string]string{}, map[string]Subscription{}
	for i, s := range c.config.Subscriptions {
		path := at("subscriptions", i)
		c.topic(path+".topic", s.Topic)
		if c.protocol(path+".protocol", s.Protocol) {
			c.endpointOf(path, s)
			c.deliveryDLQ(path+".dlq", s)
		}
		c.own(path, s)
		c.samePath(path, s, served)
		c.filter(path, s)
		id := s.Topic + " → " + s.Endpoint
		if before, twice := by[s.Protocol+id]; twice && s.Endpoint != "" {
			c.addf(path+".endpoint", "%s is subscribed by %s already, and SNS knows one subscription for both: merge them", id, before)
		}
		by[s.Protocol+id] = path
	}
}

// endpointOf checks where the messages go, by protocol.
func (c *checker) endpointOf(path string, s Subscription) {
	key := path + ".endpoint"
	if t, ok := c.config.Topics[s.Topic]; ok && t.FIFO && s.Protocol != "sqs" {
		c.addf(path+".protocol", "%q cannot keep the order of FIFO topic %q, and SNS refuses it: use sqs", s.Protocol, s.Topic)
	}
	switch {
	case s.Protocol == "sqs":
		c.endpoint(key, s.Endpoint)
		c.order(key, s)
	case s.Endpoint == "":
		c.addf(key, "is missing: %s", endpoints[s.Protocol].like)
	case s.web():
		c.web(path, s)
	case !endpoints[s.Protocol].form.MatchString(s.Endpoint):
		c.addf(key, "%q is none for %s: %s", s.Endpoint, s.Protocol, endpoints[s.Protocol].like)
	}
}

func (c *checker) topic(key, name string) {
	topics := slices.Sorted(maps.Keys(c.config.Topics))
	switch _, ok := c.config.Topics[name]; {
	case ok:
	case name == "":
		c.addf(key, "is missing: name a [topics] table")
	case len(topics) == 0:
		c.addf(key, "%q is no topic of this file: add [topics.%s]", name, name)
	default:
		c.addf(key, "%q is no topic of this file: %s", name, hint(name, topics))
	}
}

// protocol reports whether SNS knows it.
func (c *checker) protocol(key, protocol string) bool {
	if _, ok := endpoints[protocol]; ok {
		return true
	}
	known := strings.Join(slices.Sorted(maps.Keys(endpoints)), ", ")
	if protocol == "" {
		c.addf(key, "is missing: write protocol = \"sqs\" (SNS knows %s)", known)
	} else {
		c.addf(key, "%q is no protocol of SNS: use one of %s", protocol, known)
	}
	return false
}

func (c *checker) endpoint(key, endpoint string) {
	queues := slices.Sorted(maps.Keys(c.config.Queues))
	switch _, ok := c.config.Queues[endpoint]; {
	case ok:
	case endpoint == "":
		c.addf(key, "is missing: name a [queues] table, or give the ARN of somebody else's queue")
	case strings.HasPrefix(endpoint, "arn:"):
		if !queueARN.MatchString(endpoint) {
			c.addf(key, `%q is no queue's ARN: write it like "arn:aws:sqs:us-east-1:123456789012:name"`, endpoint)
		}
	case len(queues) == 0:
		c.addf(key, "%q is no queue of this file: add [queues.%s]", endpoint, endpoint)
	default:
		c.addf(key, "%q is no queue of this file: %s", endpoint, hint(endpoint, queues))
	}
}

// order refuses what SNS refuses: a standard topic has no order that a FIFO queue could keep.
func (c *checker) order(key string, s Subscription) {
	t, ok := c.config.Topics[s.Topic]
	if fifo := strings.HasSuffix(c.config.queueName(s.Endpoint), fifoSuffix); ok && fifo && !t.FIFO {
		c.addf(key, "%q is a FIFO queue, and topic %q is not FIFO: add fifo = true to the topic, or use a standard queue", s.Endpoint, s.Topic)
	}
}

// deliveryDLQ checks the queue for what SNS could not deliver. It is not the queue for what a job
// could not process: the two are read, replayed and alarmed on differently.
func (c *checker) deliveryDLQ(key string, s Subscription) {
	if s.DLQ.Off {
		c.warnings.addf(key, "is off: what SNS cannot deliver is lost without a trace")
		return
	}
	for _, q := range c.config.Queues {
		if s.DLQ.Name == q.Name || s.DLQ.Name == q.DLQ.Name {
			c.addf(key, "%q is used by a queue: give what SNS cannot deliver a queue of its own", s.DLQ.Name)
			return
		}
	}
	// A missing topic or endpoint has been told, and makes no name.
	if _, ok := c.config.Topics[s.Topic]; ok && s.Endpoint != "" {
		c.queueName(key, s.DLQ.Name)
	}
}

func (c *checker) filter(path string, s Subscription) {
	switch {
	case len(s.Filter) > 0 && s.FilterOn == "":
		c.addf(path+".filter_on", `is missing beside filter: write "body" or "attributes"; AWS's silent default would lose messages`)
	case len(s.Filter) == 0 && s.FilterOn != "":
		c.addf(path+".filter_on", "stands alone: add a filter or remove it")
	case s.FilterOn != "":
		c.oneOf(path+".filter_on", s.FilterOn, "body", "attributes")
	}
	if _, err := json.Marshal(s.Filter); err != nil {
		c.addf(path+".filter", "is no JSON: remove infinite numbers")
		return
	}
	for _, key := range slices.Sorted(maps.Keys(s.Filter)) {
		c.condition(join(path+".filter", key), s.Filter[key], s.FilterOn != "attributes")
	}
}

// condition checks one field of a filter: a list of what may match, or on the body a table below.
func (c *checker) condition(key string, condition any, nested bool) {
	switch condition := condition.(type) {
	case []any:
		if len(condition) == 0 {
			c.addf(key, "is an empty list, which no message matches: name a value")
		}
	case map[string]any:
		if !nested {
			c.addf(key, `must be a list: attributes have no fields below (filter_on = "body" does)`)
			return
		}
		for _, below := range slices.Sorted(maps.Keys(condition)) {
			c.condition(join(key, below), condition[below], nested)
		}
	default:
		c.addf(key, "must be a list, not %s: write [%s]", kind(condition), literal(condition))
	}
}
