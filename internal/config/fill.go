package config

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"regexp"
	"strings"

	"github.com/stationmaster/worker/internal/awsarn"
)

// fill derives what the file left out from what it says.
func fill(c *Config) {
	for key, t := range c.Topics {
		if t.Name == "" {
			t.Name = key
			if t.ARN != "" {
				t.Name = awsarn.Name(t.ARN)
			} else if t.FIFO {
				t.Name = withFIFO(key)
			}
		}
		if t.SignatureVersion == notGiven {
			t.SignatureVersion = 0
			if t.Manage && !t.FIFO { // what a FIFO topic sends is not signed
				t.SignatureVersion = 2
			}
		}
		c.Topics[key] = t
	}
	for key, q := range c.Queues {
		q.fill(key)
		if q.Weight == notGiven {
			q.Weight = min(c.Worker.Budget, 1)
		}
		c.Queues[key] = q
	}
	for i := range c.Subscriptions {
		c.Subscriptions[i].fill(c)
	}
	for key, s := range c.Schedules {
		if s.GroupID == "" {
			s.GroupID = key
		}
		c.Schedules[key] = s
	}
	c.fillSlots()
}

// fillSlots gives a path the slots that one of its subscriptions names, or the usual ones.
func (c *Config) fillSlots() {
	slots := map[string]*int{}
	for _, s := range c.Subscriptions {
		if s.Served() && slots[s.Endpoint] == nil {
			slots[s.Endpoint] = s.Slots
		}
	}
	for i, s := range c.Subscriptions {
		if s.Served() && s.Slots == nil {
			n := usualSlots
			if given := slots[s.Endpoint]; given != nil {
				n = *given
			}
			c.Subscriptions[i].Slots = &n
		}
	}
}

func (q *Queue) fill(key string) {
	if q.Name == "" {
		switch {
		case q.ARN != "":
			q.Name = awsarn.Name(q.ARN)
		case q.URL != "":
			q.Name = q.URL[strings.LastIndexByte(q.URL, '/')+1:]
		case q.FIFO:
			q.Name = withFIFO(key)
		default:
			q.Name = key
		}
	}
	if q.SuspectAfter == notGiven { // as many tries as its policy has explain themselves
		q.SuspectAfter = max(suspectAfter, q.Retry.Attempts)
	}
	if q.Manage { // the redrive policy of somebody else's queue knows where its dead letters go
		q.DLQ.usual(suffixed(q.Name, "-dlq"))
	}
	if q.MaxReceiveCount == 0 {
		q.MaxReceiveCount = min(q.Retry.Attempts+leaveRoom, mostReceives)
	}
}

func (s *Subscription) fill(c *Config) {
	topic := strings.TrimSuffix(c.topicName(s.Topic), fifoSuffix)
	if s.Protocol == "sqs" || s.Protocol == "" {
		s.DLQ.usual(suffixed(topic+"-"+c.queueName(s.Endpoint), deliverySuffix))
		return
	}
	s.DLQ.usual(bounded(topic+"-"+s.slug(), deliverySuffix))
}

// deliverySuffix ends the usual name of the queue for what could not be delivered.
const deliverySuffix = "-delivery-dlq"

// slug is what an endpoint that is no queue gives to a name. An address or a number is somebody's own
// and stands in none.
func (s *Subscription) slug() string {
	switch s.Protocol {
	case "email", "email-json", "sms":
		return s.Protocol + "-" + short(s.Endpoint)
	case "lambda", "firehose", "application":
		_, name, _ := strings.Cut(s.Endpoint, ":function:") // with its version or alias, if it has one
		if name == "" {
			name = s.Endpoint[strings.LastIndexAny(s.Endpoint, ":/")+1:]
		}
		return words(name)
	}
	if u, err := url.Parse(s.Endpoint); err == nil && !isPath(s.Endpoint) {
		return words(u.Host + u.Path)
	}
	return words(s.Endpoint)
}

var noWord = regexp.MustCompile(`[^A-Za-z0-9_]+`)

func words(s string) string { return strings.Trim(noWord.ReplaceAllString(s, "-"), "-") }

// short tells texts apart without saying them.
func short(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:4])
}

// bounded keeps a name within what a queue may be called.
func bounded(name, suffix string) string {
	const most = 80
	if len(name)+len(suffix) <= most {
		return name + suffix
	}
	end := "-" + short(name) + suffix
	return name[:most-len(end)] + end
}

// withFIFO names what is FIFO.
func withFIFO(name string) string { return strings.TrimSuffix(name, fifoSuffix) + fifoSuffix }

// suffixed keeps .fifo at the end: the DLQ of a FIFO queue is a FIFO queue.
func suffixed(name, suffix string) string {
	if base, ok := strings.CutSuffix(name, fifoSuffix); ok {
		return base + suffix + fifoSuffix
	}
	return name + suffix
}

// usual names the queue that nobody named.
func (d *DLQ) usual(name string) {
	if !d.Off && d.Name == "" {
		d.Name = name
	}
}

// topicName is a topic as AWS knows it.
func (c *Config) topicName(key string) string {
	if t, ok := c.Topics[key]; ok {
		return t.Name
	}
	return key
}

// queueName is the queue of an endpoint as AWS knows it.
func (c *Config) queueName(endpoint string) string {
	if q, ok := c.Queues[endpoint]; ok {
		return q.Name
	}
	return awsarn.Name(endpoint)
}
