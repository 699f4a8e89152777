package localaws

import (
	"slices"
	"strings"
	"time"
)

// fifoSuffix ends the names of FIFO queues, and of no others.
const fifoSuffix = ".fifo"

// fifoPresets are the attributes that only FIFO queues have, as they are when nobody sets them.
var fifoPresets = map[string]string{
	"FifoQueue": "true", "ContentBasedDeduplication": "false",
	"DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue",
}

// fifoValues are what these attributes can be.
var fifoValues = map[string][]string{
	"FifoQueue": {"true", "false"}, "ContentBasedDeduplication": {"true", "false"},
	"DeduplicationScope": {"queue", "messageGroup"}, "FifoThroughputLimit": {"perQueue", "perMessageGroupId"},
}

// fifoName says whether a queue of this name is a FIFO queue.
func fifoName(name string) bool { return strings.HasSuffix(name, fifoSuffix) }

// checkQueueName keeps names and types together: only the name says for good what a queue is.
func checkQueueName(in *createQueueInput) error {
	name, suffixed := strings.CutSuffix(in.QueueName, fifoSuffix)
	if in.Attributes["FifoQueue"] == "true" {
		if !suffixed || !queueName.MatchString(name) || len(in.QueueName) > maxQueueName {
			return badValue("The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length.")
		}
		return nil
	}
	if !queueName.MatchString(in.QueueName) {
		return badValue("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	return nil
}

// checkFIFO checks a new value of one of fifoPresets.
func checkFIFO(name, value string, fifo bool) error {
	switch {
	case !fifo && (name == "DeduplicationScope" || name == "FifoThroughputLimit"):
		return refuse("InvalidAttributeName", "You can specify the %s only when FifoQueue is set to true.", name)
	case !fifo:
		return unknownAttribute(name)
	case !slices.Contains(fifoValues[name], value):
		return invalidAttribute(name)
	case name == "FifoQueue" && value != "true":
		e := invalidAttribute(name)
		e.Message += " Reason: Modifying queue type is not supported."
		return e
	}
	return nil
}

// readFIFO reads the attributes of a FIFO queue.
func (s *settings) readFIFO(merged map[string]string) error {
	s.fifo = merged["FifoQueue"] == "true"
	s.contentDedup = merged["ContentBasedDeduplication"] == "true"
	s.groupScope = merged["DeduplicationScope"] == "messageGroup"
	if merged["FifoThroughputLimit"] == "perMessageGroupId" && !s.groupScope {
		e := invalidAttribute("FifoThroughputLimit")
		e.Message += " Reason: The perMessageGroupId value is allowed only when the value for DeduplicationScope is messageGroup."
		return e
	}
	return nil
}

// redelay gives the messages that wait in a FIFO queue another delay. On a standard queue a new delay
// is for new messages only. Source: "Amazon SQS delay queues", Developer Guide.
func (q *sqsQueue) redelay(now time.Time) {
	if !q.fifo {
		return
	}
	for _, m := range q.bySerial {
		if due := m.sent.Add(q.delay); m.receipts == 0 && (m.place == delayed || due.After(now)) {
			q.move(m, delayed, due)
		}
	}
}
