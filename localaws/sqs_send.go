package localaws

import "time"

// snsSender is the SenderId of messages that SNS delivers.
const snsSender = "AIDAIT2UOQQY3AUEKVGXU"

// wireAttribute is a message attribute on the wire.
type wireAttribute struct {
	DataType    string
	StringValue *string `json:",omitempty"`
	BinaryValue []byte  `json:",omitempty"`
}

func fromWire(in map[string]wireAttribute) map[string]sqsAttribute {
	if len(in) == 0 {
		return nil
	}
	out := make(map[string]sqsAttribute, len(in))
	for name, a := range in {
		attribute := sqsAttribute{Type: a.DataType, Binary: a.BinaryValue}
		if a.StringValue != nil {
			attribute.String = *a.StringValue
		}
		out[name] = attribute
	}
	return out
}

func toWire(name string, a sqsAttribute, into map[string]wireAttribute) {
	if a.isBinary() {
		into[name] = wireAttribute{DataType: a.Type, BinaryValue: a.Binary}
		return
	}
	into[name] = wireAttribute{DataType: a.Type, StringValue: &a.String}
}

// sendEntry is what one message says, in a request of its own or in a batch.
type sendEntry struct {
	MessageBody             string
	DelaySeconds            *int
	MessageAttributes       map[string]wireAttribute
	MessageSystemAttributes map[string]wireAttribute
	MessageGroupID          string `json:"MessageGroupId"`
	MessageDeduplicationID  string `json:"MessageDeduplicationId"`
}

// sent is the answer for one message.
type sent struct {
	ID                           string `json:"Id,omitempty"` // of a batch entry
	MessageID                    string `json:"MessageId"`
	MD5OfMessageBody             string
	MD5OfMessageAttributes       string `json:",omitempty"`
	MD5OfMessageSystemAttributes string `json:",omitempty"`
	SequenceNumber               string `json:",omitempty"`
}

func sendMessage(c *call, in *struct {
	queueInput
	sendEntry
},
) (any, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	q, err := c.queue(in.QueueURL)
	if err != nil {
		return nil, err
	}
	return c.accept(q, "", &in.sendEntry, fromWire(in.MessageAttributes))
}

type batchEntry struct {
	ID string `json:"Id"`
	sendEntry
}

func sendMessageBatch(c *call, in *struct {
	queueInput
	Entries []batchEntry
},
) (any, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	q, err := c.queue(in.QueueURL)
	if err != nil {
		return nil, err
	}
	id := func(i int) string { return in.Entries[i].ID }
	if err := checkBatch(len(in.Entries), id); err != nil {
		return nil, err
	}
	attributes, total := make([]map[string]sqsAttribute, len(in.Entries)), 0
	for i, entry := range in.Entries {
		attributes[i] = fromWire(entry.MessageAttributes)
		m := sqsMessage{body: entry.MessageBody, attributes: attributes[i]}
		total += m.size()
	}
	if total > maxBatchBytes {
		return nil, refuse("BatchRequestTooLong", "Batch requests cannot be longer than %d bytes. You have sent %d bytes.", maxBatchBytes, total)
	}
	if err := q.checkFIFOBatch(in.Entries); err != nil {
		return nil, err
	}
	return c.each(len(in.Entries), id, func(i int) (any, error) {
		return c.accept(q, in.Entries[i].ID, &in.Entries[i].sendEntry, attributes[i])
	})
}

// accept checks a message and puts it into a queue. s.mu is held.
func (c *call) accept(q *sqsQueue, id string, in *sendEntry, attributes map[string]sqsAttribute) (any, error) {
	m := sqsMessage{
		body: in.MessageBody, attributes: attributes, groupID: in.MessageGroupID,
		dedupID: in.MessageDeduplicationID, traceHeader: c.header.Get("X-Amzn-Trace-Id"),
	}
	system := fromWire(in.MessageSystemAttributes)
	for name, a := range system {
		if name != "AWSTraceHeader" || a.Type != "String" || a.String == "" {
			return nil, badValue("Message system attribute '%s' of type '%s' is invalid: the only one that can be set is AWSTraceHeader, a non-empty String.", name, a.Type)
		}
		m.traceHeader = a.String
	}
	delay := q.delay
	if in.DelaySeconds != nil && q.fifo && *in.DelaySeconds != 0 {
		return nil, wrongType(*in.DelaySeconds, "DelaySeconds")
	} else if in.DelaySeconds != nil && !q.fifo {
		if *in.DelaySeconds < 0 || *in.DelaySeconds > 900 {
			return nil, badValue("Value %d for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.", *in.DelaySeconds)
		}
		delay = time.Duration(*in.DelaySeconds) * time.Second
	}
	if err := q.checkMessage(&m); err != nil {
		return nil, err
	}
	stored := c.s.enqueue(q, m, c.account, delay)
	return sent{
		ID: id, MessageID: stored.id, MD5OfMessageBody: c.corrupt(stored.bodyMD5),
		MD5OfMessageAttributes:       c.corrupt(stored.attributesMD5),
		MD5OfMessageSystemAttributes: c.corrupt(md5OfAttributes(system)),
		SequenceNumber:               stored.sequenceNumber(),
	}, nil
}

// enqueue puts a message that was checked into a queue. A FIFO queue that had it lately does not take
// it again; what comes back then has the id and the sequence number of the first. s.mu is held.
func (s *Server) enqueue(q *sqsQueue, m sqsMessage, sender string, delay time.Duration) *message {
	now := time.Now()
	stored := &message{
		sqsMessage: m, sender: sender, sent: now, attributesMD5: md5OfAttributes(m.attributes),
	}
	if m.envelope == nil { // else there is no body yet
		stored.bodyMD5 = md5Of(m.body)
	}
	if q.fifo {
		if first, again := q.sent.get(q.dedupKey(&m), now); again {
			stored.id, stored.sequence = first.id, first.sequence
			return stored
		}
		stored.sequence = s.next()
	}
	stored.id, stored.serial = newID(), s.next()
	if q.fifo {
		q.sent.put(q.dedupKey(&m), accepted{stored.id, stored.sequence}, now)
	}
	if now.Before(q.purging) && s.nasty.chance(purgedShare) {
		return stored // accepted, and purged with what was there before
	}
	q.add(stored, now.Add(delay), now)
	s.settle(q)
	return stored
}

// deliver puts a message of SNS into a queue, or says why SQS refuses it. A standard queue ignores
// the deduplication id. s.mu is held.
func (s *Server) deliver(queueARN string, m sqsMessage) error {
	q := s.queueByARN(queueARN)
	if q == nil {
		return noSuchQueue()
	}
	if !q.fifo {
		m.dedupID = ""
	}
	if err := q.checkMessage(&m); err != nil {
		return err
	}
	s.enqueue(q, m, snsSender, q.delay)
	return nil
}
