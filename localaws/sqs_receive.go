package localaws

import (
	"container/list"
	"slices"
	"strconv"
	"strings"
	"time"
)

type receiveInput struct {
	queueInput
	MaxNumberOfMessages         *int
	VisibilityTimeout           *int
	WaitTimeSeconds             *int
	AttributeNames              []string // the old name of the next one
	MessageSystemAttributeNames []string
	MessageAttributeNames       []string
	ReceiveRequestAttemptID     string `json:"ReceiveRequestAttemptId"`
}

// systemAttributes are what a receive can ask for. Source: ReceiveMessage, SQS API reference.
var systemAttributes = []string{
	"SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp",
	"SequenceNumber", "MessageDeduplicationId", "MessageGroupId", "AWSTraceHeader", "DeadLetterQueueSourceArn",
}

// received is a message on its way out.
type received struct {
	MessageID              string `json:"MessageId"`
	ReceiptHandle          string
	MD5OfBody              string
	Body                   string
	Attributes             map[string]string        `json:",omitempty"`
	MD5OfMessageAttributes string                   `json:",omitempty"`
	MessageAttributes      map[string]wireAttribute `json:",omitempty"`

	envelope *envelope // of SNS: the body, which is yet to be written
	to       string
}

type receiveOutput struct {
	Messages []received `json:",omitempty"`
}

func (in *receiveInput) check() error {
	within := func(value *int, parameter string, least, most int) error {
		if value != nil && (*value < least || *value > most) {
			return outside(*value, parameter, least, most)
		}
		return nil
	}
	if n := in.MaxNumberOfMessages; n != nil && (*n < 1 || *n > maxBatch) {
		return badValue("Value %d for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.", *n)
	}
	if err := within(in.WaitTimeSeconds, "WaitTimeSeconds", 0, 20); err != nil {
		return err
	}
	if err := within(in.VisibilityTimeout, "VisibilityTimeout", 0, maxHidden); err != nil {
		return err
	}
	in.MessageSystemAttributeNames = append(in.MessageSystemAttributeNames, in.AttributeNames...)
	for _, name := range in.MessageSystemAttributeNames {
		// The old parameter is documented with the names of queue attributes, too: they ask for nothing.
		if name != "All" && !slices.Contains(systemAttributes, name) && !slices.Contains(in.AttributeNames, name) {
			return refuse("InvalidAttributeName", "Unknown Attribute %s.", name)
		}
	}
	return nil
}

// waits is how long a receive waits for messages.
func (in *receiveInput) waits(q *sqsQueue) time.Duration {
	if in.WaitTimeSeconds != nil {
		return time.Duration(*in.WaitTimeSeconds) * time.Second
	}
	return q.wait
}

// receiveMessage waits without holding anything: each time that it is woken it looks again.
func receiveMessage(c *call, in *receiveInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	var timeout <-chan time.Time
	var until time.Time
	for over := false; ; {
		out, woken, wait, err := c.attempt(in, over)
		if err != nil || woken == nil {
			c.write(out.Messages)
			return out, err
		}
		if timeout == nil {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			timeout, until = timer.C, time.Now().Add(wait)
		}
		select {
		case <-woken:
		case <-timeout:
			over = true
			c.leave(in, woken, time.Time{})
		case <-c.ctx.Done():
			c.leave(in, woken, until)
			return nil, c.ctx.Err()
		}
	}
}

// attempt takes messages, or joins those who wait for some: then it returns what will wake it, and
// how long the whole receive may wait. over says that it may not wait any longer.
func (c *call) attempt(in *receiveInput, over bool) (out receiveOutput, woken chan struct{}, wait time.Duration, err error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	q, err := c.queue(in.QueueURL)
	if err != nil {
		return out, nil, 0, err
	}
	// A client that has gone must not be given messages: nobody would see them until they time out.
	if err := c.ctx.Err(); err != nil && !c.s.nasty.GiveToGone {
		c.s.settle(q)
		return out, nil, 0, err
	}
	wait = in.waits(q)
	if err := q.checkAttemptID(in.ReceiveRequestAttemptID); err != nil {
		return out, nil, 0, err
	}
	if wait == 0 && q.full() && !q.fifo {
		return out, nil, 0, &apiError{Status: 403, Code: "OverLimit", Message: "Too many messages in flight: " + strconv.Itoa(maxInFlight) + "."}
	}
	messages := c.take(q, in)
	if len(messages) > 0 || over || wait == 0 {
		c.s.settle(q)
		return receiveOutput{messages}, nil, 0, nil
	}
	woken = make(chan struct{}, 1)
	q.waiting.PushBack(woken)
	c.s.watch(q)
	return out, woken, wait, nil
}

// write puts in what SNS brought. No lock is held: a signature takes its time.
func (c *call) write(messages []received) {
	for i, m := range messages {
		if m.envelope != nil {
			messages[i].Body = m.envelope.text(m.to)
			messages[i].MD5OfBody = c.corrupt(md5Of(messages[i].Body))
		}
	}
}

// leave takes a receive out of those who wait. When it was woken already, the wake goes to the next.
// A receive whose time is not over has been given up.
func (c *call) leave(in *receiveInput, woken chan struct{}, until time.Time) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	q, err := c.queue(in.QueueURL)
	if err != nil {
		return // the queue is gone, and everybody was woken
	}
	var mine *list.Element
	for e := q.waiting.Front(); e != nil && mine == nil; e = e.Next() {
		if e.Value.(chan struct{}) == woken {
			mine = e
		}
	}
	if mine != nil {
		q.waiting.Remove(mine)
	}
	if !until.IsZero() {
		c.s.nasty.desert(q, c, in, until)
	}
	c.s.settle(q)
}

// take hands out messages. s.mu is held.
func (c *call) take(q *sqsQueue, in *receiveInput) []received {
	most := 1
	if in.MaxNumberOfMessages != nil {
		most = *in.MaxNumberOfMessages
	}
	if in.waits(q) == 0 {
		most = c.s.nasty.fewer(most)
	}
	visibility := q.visibility
	if in.VisibilityTimeout != nil {
		visibility = time.Duration(*in.VisibilityTimeout) * time.Second
	}
	now := time.Now()
	taken := q.again(in.ReceiveRequestAttemptID, now)
	if len(taken) == 0 {
		taken = c.pick(q, most, now)
		q.remember(in.ReceiveRequestAttemptID, taken, now)
	}
	out := make([]received, len(taken))
	for i, m := range taken {
		out[i] = c.show(q, m, in)
		if visibility > 0 {
			q.move(m, inFlight, now.Add(visibility))
		} else {
			q.move(m, visible, now)
		}
	}
	return out
}

// pick takes the next messages out of the line, and moves to the dead-letter queue what was received
// too often.
func (c *call) pick(q *sqsQueue, most int, now time.Time) (taken []*message) {
	for m := range q.line.all {
		switch {
		case len(taken) == most || q.full():
			return taken
		case c.s.bury(q, m, now):
		default:
			m.receive(now)
			q.move(m, held, now)
			taken = append(taken, m)
		}
	}
	return taken
}

// receive counts a receipt.
func (m *message) receive(now time.Time) {
	m.receives++
	m.receipts++
	m.received = now
	if m.firstReceived.IsZero() {
		m.firstReceived = now
	}
}

// bury moves a message that has used up its receives in this queue to the dead-letter queue. It
// keeps its id and its count, on a standard queue also its age. When the dead-letter queue is gone
// the message goes round for ever.
func (s *Server) bury(q *sqsQueue, m *message, now time.Time) bool {
	if q.redrive == nil || m.receipts < q.redrive.maxReceives {
		return false
	}
	dlq := s.queues[q.redrive.target]
	if dlq == nil || dlq == q {
		return false
	}
	q.remove(m)
	m.source, m.receipts = q.arn, 0
	if dlq.fifo {
		// Source: "Dead-letter queues", Developer Guide. That it is counted anew is inferred.
		m.dedupID, m.sent, m.sequence = m.id, now, s.next()
	}
	dlq.add(m, now, now)
	dlq.stir()
	s.watch(dlq)
	return true
}

// show writes a message as the receive asked for it.
func (c *call) show(q *sqsQueue, m *message, in *receiveInput) received {
	out := received{MessageID: m.id, ReceiptHandle: q.handle(m), Body: m.body, MD5OfBody: c.corrupt(m.bodyMD5), envelope: m.envelope, to: m.to}
	if len(in.MessageSystemAttributeNames) > 0 {
		out.Attributes = m.system(in.MessageSystemAttributeNames)
	}
	chosen := map[string]sqsAttribute{}
	for name, a := range m.attributes {
		if wanted(name, in.MessageAttributeNames) {
			chosen[name] = a
		}
	}
	if len(chosen) == 0 {
		return out
	}
	out.MessageAttributes = make(map[string]wireAttribute, len(chosen))
	for name, a := range chosen {
		toWire(name, a, out.MessageAttributes)
	}
	out.MD5OfMessageAttributes = c.corrupt(m.attributesMD5)
	if len(chosen) < len(m.attributes) { // the checksum is of what is shown
		out.MD5OfMessageAttributes = c.corrupt(md5OfAttributes(chosen))
	}
	return out
}

// wanted tells whether a message attribute was asked for: by name, by "prefix.*" or with all.
func wanted(name string, asked []string) bool {
	return slices.ContainsFunc(asked, func(ask string) bool {
		prefix, wild := strings.CutSuffix(ask, ".*")
		return ask == "All" || ask == "*" || ask == name || wild && strings.HasPrefix(name, prefix)
	})
}

func (m *message) system(asked []string) map[string]string {
	all := map[string]string{
		"SenderId":                         m.sender,
		"SentTimestamp":                    strconv.FormatInt(m.sent.UnixMilli(), 10),
		"ApproximateReceiveCount":          strconv.Itoa(m.receives),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.firstReceived.UnixMilli(), 10),
		"MessageGroupId":                   m.groupID,
		"MessageDeduplicationId":           m.dedupID,
		"SequenceNumber":                   m.sequenceNumber(),
		"AWSTraceHeader":                   m.traceHeader,
		"DeadLetterQueueSourceArn":         m.source,
	}
	out := map[string]string{}
	for name, value := range all {
		if value != "" && (slices.Contains(asked, "All") || slices.Contains(asked, name)) {
			out[name] = value
		}
	}
	return out
}
