package worker

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/stationmaster/worker/internal/config"
	"github.com/stationmaster/worker/topology"
)

func topicOf(c config.Config, key string) topology.Topic {
	t := c.Topics[key]
	return topology.Topic{
		Name: or(t.Name, key), ARN: t.ARN, Unmanaged: !t.Manage, Tags: t.Tags, Attributes: topicAttributes(c, key),
		Scheduled: ticks(c, func(s config.Schedule) bool { return s.Topic == key }),
	}
}

// ticks reports whether there is such a schedule.
func ticks(c config.Config, such func(config.Schedule) bool) bool {
	for _, s := range c.Schedules {
		if such(s) {
			return true
		}
	}
	return false
}

// throughputs maps fifo_throughput to SNS's word.
var throughputs = map[string]string{"topic": "Topic", "group": "MessageGroup"}

// feedback are the protocols whose deliveries SNS logs, as it begins the names of their attributes.
var feedback = map[string]string{
	"sqs": "SQS", "http": "HTTP", "https": "HTTP", "lambda": "Lambda", "firehose": "Firehose", "application": "Application",
}

// topicAttributes are those that are said; the others are left alone.
func topicAttributes(c config.Config, key string) map[string]string {
	t, all := c.Topics[key], map[string]string{}
	if t.ContentDeduplication {
		all["ContentBasedDeduplication"] = "true"
	}
	if t.SignatureVersion > 0 {
		all["SignatureVersion"] = strconv.Itoa(t.SignatureVersion)
	}
	if t.KMSKey != "" {
		all["KmsMasterKeyId"] = t.KMSKey
	}
	if t.FIFOThroughput != "" {
		all["FifoThroughputScope"] = throughputs[t.FIFOThroughput]
	}
	if t.DeliveryLogRole != "" {
		for _, s := range c.Subscriptions {
			if name, logged := feedback[s.Protocol]; logged && s.Topic == key {
				all[name+"FailureFeedbackRoleArn"] = t.DeliveryLogRole
			}
		}
	}
	return all
}

// queueAttributes are those that are said; the others are left alone.
func queueAttributes(q config.Queue) map[string]string {
	all := encryption(q)
	if q.ContentDeduplication {
		all["ContentBasedDeduplication"] = "true"
	}
	if q.HighThroughput {
		all["DeduplicationScope"], all["FifoThroughputLimit"] = "messageGroup", "perMessageGroupId"
	}
	if q.Delay != nil {
		all["DelaySeconds"] = strconv.Itoa(int(*q.Delay / time.Second))
	}
	if q.MaxMessageSize > 0 {
		all["MaximumMessageSize"] = strconv.Itoa(q.MaxMessageSize)
	}
	return all
}

func encryption(q config.Queue) map[string]string {
	all := map[string]string{}
	if q.KMSKey != "" {
		all["KmsMasterKeyId"] = q.KMSKey
	}
	if q.SSE != nil {
		all["SqsManagedSseEnabled"] = strconv.FormatBool(*q.SSE)
	}
	if q.KMSKey != "" {
		delete(all, "SqsManagedSseEnabled") // it is false then, and saying so is refused
	}
	return all
}

func subscriptionOf(c config.Config, s config.Subscription) topology.Subscription {
	wanted := topology.Subscription{Topic: s.Topic, Protocol: s.Protocol, Raw: s.Raw, FilterOn: s.FilterOn, Role: s.Role}
	if t, ours := c.Topics[s.Topic]; ours {
		wanted.Topic = or(t.Name, s.Topic)
	}
	q, ours := c.Queues[s.Endpoint]
	switch {
	case s.Served():
		wanted.Endpoint, wanted.Served, wanted.Resubscribe = c.Ingress.URL(s.Endpoint), true, s.Resubscribe
	case s.Protocol != "sqs" && s.Protocol != "":
		wanted.Endpoint = s.Endpoint
	case ours:
		wanted.Queue = or(q.Name, s.Endpoint)
	default:
		wanted.Queue = s.Endpoint
	}
	if s.Delivery != nil {
		wanted.Delivery = s.Delivery.Policy()
	}
	if len(s.Filter) > 0 {
		text, err := json.Marshal(s.Filter)
		if err != nil { // it came from TOML, all of which JSON can say, save for inf and nan
			text = []byte(err.Error())
		}
		wanted.Filter = string(text)
	}
	if !s.DLQ.Off {
		wanted.DLQ = s.DLQ.Name
	}
	return wanted
}
