package localaws

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// published is one message on its way to the subscriptions of a topic.
type published struct {
	id         string
	at         time.Time
	subject    string
	message    string            // as given
	protocols  map[string]string // of MessageStructure=json: a message per protocol, and "default"
	attributes map[string]sqsAttribute
	groupID    string
	dedupID    string
	sequence   string // SequenceNumber, of a FIFO topic
	trace      string // AWSTraceHeader
	base       string // this server's address, as the publisher called it

	envelopes map[string]*envelope // by protocol, or by "" when all are the same
}

// text is the message that a protocol gets.
func (p *published) text(protocol string) string {
	if p.protocols == nil {
		return p.message
	}
	if text, has := p.protocols[protocol]; has {
		return text
	}
	return p.protocols["default"]
}

// size is what counts against the topic's limit: the message and its attributes.
func (p *published) size() int {
	n := len(p.message)
	for name, a := range p.attributes {
		n += len(name) + len(a.Type) + len(a.String) + len(a.Binary)
	}
	return n
}

type publishAnswer struct {
	MessageID      string `xml:"MessageId"`
	SequenceNumber string `xml:",omitempty"` // of a FIFO topic
}

func (c *call) publish() (any, error) {
	f := queryForm(c.form)
	arn := f.get("TopicArn")
	switch number := f.get("PhoneNumber"); {
	case number != "" && !phone.MatchString(number):
		return nil, invalidParameter("PhoneNumber Reason: %s is not valid to publish to", number)
	case f.has("PhoneNumber"):
		return nil, unsupported("a publish to a phone number")
	case arn == "" && strings.Contains(f.get("TargetArn"), ":endpoint/"):
		return nil, invalidParameter("TargetArn Reason: No endpoint found for the target arn specified")
	case arn == "":
		arn = f.get("TargetArn") // which may name a topic too
	}
	p, e := c.read("", 0)
	if e != nil {
		return nil, e
	}
	c.s.mu.Lock()
	t, e := c.topic(arn)
	if e == nil && p.size() > t.maximumSize() {
		e = invalidParameter("Message too long")
	}
	if e == nil {
		e = p.order(t)
	}
	if e != nil {
		c.s.mu.Unlock()
		return nil, e
	}
	drops := c.fanOut(t, p)
	c.s.mu.Unlock()
	c.tell(drops)
	return publishAnswer{p.id, p.sequence}, nil
}

func (t *topic) maximumSize() int {
	if n, err := strconv.Atoi(t.attributes["MaximumMessageSize"]); err == nil {
		return n
	}
	return snsMaximumSize
}

// tell reports what SNS lost. c.s.mu is not held.
func (c *call) tell(drops []Drop) {
	for _, d := range drops {
		c.s.drop(d)
	}
}

// read takes a message out of the form and checks what needs no topic. The prefix and the position
// are those of a batch entry, empty and 0 for a publish of one.
func (c *call) read(prefix string, position int) (*published, *apiError) {
	f := queryForm(c.form)
	p := &published{
		id: newID(), at: time.Now(), subject: f.get(prefix + "Subject"), message: f.get(prefix + "Message"),
		groupID: f.get(prefix + "MessageGroupId"), dedupID: f.get(prefix + "MessageDeduplicationId"), trace: c.header.Get("X-Amzn-Trace-Id"), base: c.base(),
	}
	if f.has(prefix + "Subject") {
		if e := checkSubject(p.subject); e != nil {
			return nil, e
		}
	}
	if p.message == "" {
		return nil, invalidParameter("Empty message")
	}
	if !utf8.ValidString(p.message) {
		return nil, invalidParameter("Message Reason: it is not UTF-8")
	}
	var e *apiError
	if p.attributes, e = f.messageAttributes(prefix, position); e != nil {
		return nil, e
	}
	for _, name := range []string{"MessageGroupId", "MessageDeduplicationId"} {
		if f.has(prefix + name) {
			if e := checkID(name, f.get(prefix+name)); e != nil {
				return nil, e
			}
		}
	}
	return p, p.structure(f.get(prefix + "MessageStructure"))
}

// structure opens a message that says something else to each protocol.
func (p *published) structure(kind string) *apiError {
	switch kind {
	case "":
		return nil
	case "json":
	default:
		return invalidParameter("MessageStructure")
	}
	var all map[string]any
	if err := json.Unmarshal([]byte(p.message), &all); err != nil {
		return invalidParameter("Message Structure - JSON message body failed to parse")
	}
	p.protocols = map[string]string{}
	for protocol, v := range all {
		if text, ok := v.(string); ok { // what is no text is ignored
			p.protocols[protocol] = text
		}
	}
	if _, has := p.protocols["default"]; !has {
		return invalidParameter("Message Structure - No default entry in JSON message body")
	}
	return nil
}

// publishBatch refuses the whole call when one message is malformed, as AWS does; a single message
// fails by itself only through Control.
func (c *call) publishBatch() (any, error) {
	entries, ids, e := c.batch()
	if e != nil {
		return nil, e
	}
	var answer batchAnswer
	c.s.mu.Lock()
	t, e := c.topic(c.form.Get("TopicArn"))
	if e != nil {
		c.s.mu.Unlock()
		return nil, e
	}
	total := 0
	for _, p := range entries {
		total += p.size()
		if e := p.order(t); e != nil {
			c.s.mu.Unlock()
			return nil, e
		}
	}
	if total > t.maximumSize() {
		c.s.mu.Unlock()
		return nil, refuse("BatchRequestTooLong", "The length of all the messages put together is more than the limit.")
	}
	var drops []Drop
	for i, p := range entries {
		if e := c.entryFault(ids[i]); e != nil {
			answer.Failed.Member = append(answer.Failed.Member, batchFailed{ids[i], e.Code, e.Message, e.fault() == "Sender"})
			continue
		}
		drops = append(drops, c.fanOut(t, p)...)
		answer.Successful.Member = append(answer.Successful.Member, batchDone{ids[i], p.id, p.sequence})
	}
	c.s.mu.Unlock()
	c.tell(drops)
	return answer, nil
}

type batchAnswer struct {
	Successful struct {
		Member []batchDone `xml:"member"`
	}
	Failed struct {
		Member []batchFailed `xml:"member"`
	}
}

type batchDone struct {
	ID             string `xml:"Id"`
	MessageID      string `xml:"MessageId"`
	SequenceNumber string `xml:",omitempty"`
}

type batchFailed struct {
	ID            string `xml:"Id"`
	Code, Message string
	SenderFault   bool
}

// batch reads the entries of a PublishBatch.
func (c *call) batch() (entries []*published, ids []string, e *apiError) {
	f := queryForm(c.form)
	seen := map[string]bool{}
	for i := 1; ; i++ {
		prefix := fmt.Sprintf("PublishBatchRequestEntries.member.%d.", i)
		if !f.has(prefix+"Id") && !f.has(prefix+"Message") {
			break
		}
		ids = append(ids, f.get(prefix+"Id"))
	}
	switch {
	case len(ids) == 0:
		return nil, nil, refuse("EmptyBatchRequest", "The batch request doesn't contain any entries.")
	case len(ids) > 10:
		return nil, nil, refuse("TooManyEntriesInBatchRequest", "The batch request contains more entries than permissible.")
	}
	for _, id := range ids {
		if !isBatchID(id) {
			return nil, nil, refuse("InvalidBatchEntryId", "The Id of a batch entry in a batch request doesn't abide by the specification.")
		}
		if seen[id] {
			return nil, nil, refuse("BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id.")
		}
		seen[id] = true
	}
	for i := range ids {
		p, e := c.read(fmt.Sprintf("PublishBatchRequestEntries.member.%d.", i+1), i+1)
		if e != nil {
			return nil, nil, e
		}
		entries = append(entries, p)
	}
	return entries, ids, nil
}

func isBatchID(id string) bool {
	for _, r := range id {
		if !isWord(r) {
			return false
		}
	}
	return id != "" && len(id) <= 80
}
