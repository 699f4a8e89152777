package config

import (
	"maps"
	"slices"
	"time"
)

// ownerTag is the tag of what apply has made; its value is Topology.Owner.
const ownerTag = "stationmaster"

func (c *checker) owner() {
	const most = 256 // of a tag's value
	if owner := c.config.Topology.Owner; len(owner) > most {
		c.addf("topology.owner", "has %d characters, and a tag takes %d: shorten it", len(owner), most)
	}
}

// topicSettings checks the attributes of a topic.
func (c *checker) topicSettings(path string, t Topic) {
	if !t.Manage {
		c.owners(path, map[string]bool{
			"signature_version": t.SignatureVersion != 0, "kms_key": t.KMSKey != "", "tags": len(t.Tags) > 0,
			"delivery_log_role": t.DeliveryLogRole != "", "fifo_throughput": t.FIFOThroughput != "",
		})
		return
	}
	between(c, path+".signature_version", t.SignatureVersion, 0, 2)
	if t.FIFO && t.SignatureVersion != 0 {
		c.addf(path+".signature_version", "is for standard topics: what a FIFO topic sends is not signed; remove it")
	}
	if t.DeliveryLogRole != "" && !roleARN.MatchString(t.DeliveryLogRole) {
		c.addf(path+".delivery_log_role", `%q is no role's ARN: write it like "arn:aws:iam::123456789012:role/name"`, t.DeliveryLogRole)
	}
	switch {
	case t.FIFOThroughput == "":
	case !t.FIFO:
		c.addf(path+".fifo_throughput", "needs fifo = true: add it, or remove this")
	default:
		c.oneOf(path+".fifo_throughput", t.FIFOThroughput, "topic", "group")
	}
}

// queueSettings checks the attributes of a queue.
func (c *checker) queueSettings(path string, q Queue) {
	if !q.Manage {
		c.owners(path, map[string]bool{
			"kms_key": q.KMSKey != "", "sse": q.SSE != nil, "delay": q.Delay != nil,
			"max_message_size": q.MaxMessageSize != 0, "high_throughput": q.HighThroughput,
		})
		return
	}
	if q.KMSKey != "" && q.SSE != nil && *q.SSE {
		c.addf(path+".sse", "is true beside kms_key: a queue has one kind of encryption; keep one of them")
	}
	if q.KMSKey == "alias/aws/sqs" {
		c.warnings.addf(path+".kms_key", "%q is AWS's own key, with which SNS cannot write to the queue: use a key of the account's, or sse = true", q.KMSKey)
	}
	if q.HighThroughput && !q.FIFO {
		c.addf(path+".high_throughput", "needs fifo = true: add it, or remove this")
	}
	// Source: SetQueueAttributes, SQS API reference.
	if q.Delay != nil {
		c.seconds(path+".delay", *q.Delay, 0, 15*time.Minute)
	}
	if q.MaxMessageSize != 0 {
		between(c, path+".max_message_size", q.MaxMessageSize, 1<<10, 1<<20)
	}
}

// owners refuses what only the owner of a queue or a topic can set.
func (c *checker) owners(path string, set map[string]bool) {
	for _, key := range slices.Sorted(maps.Keys(set)) {
		if set[key] {
			c.addf(path+"."+key, "is its owner's to set (manage = false): remove it")
		}
	}
}
