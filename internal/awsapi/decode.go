package awsapi

import (
	"bytes"
	"crypto/md5" // a checksum that SQS defines, not a protection
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/stationmaster/worker/queue"
)

// decoder reads the answer of a receive straight into deliveries. Each has one string of its own,
// into which all its short texts are written: a message that is handled for long must not keep the
// nine others that came with it.
type decoder struct {
	scanner
	text     []byte // of the message being read
	received time.Time
	lease    time.Duration

	deliveries []queue.Delivery
	corrupt    []string // ids of messages that do not match their MD5
}

// span is a part of a message's text.
type span struct{ start, end int }

func (s span) of(text string) string { return text[s.start:s.end] }

// Members of a message, as bits: one that comes twice is for the SDK to judge.
const (
	sawID = 1 << iota
	sawHandle
	sawBody
	sawSum
	sawSystem
	sawAttributes
)

// decodeMessages reads the answer of a receive. ok is false when there is anything in it that this
// decoder does not know for sure; the SDK reads it then.
func decodeMessages(body []byte, received time.Time, lease time.Duration) (ds []queue.Delivery, corrupt []string, ok bool) {
	d := decoder{scanner: scanner{b: body}, received: received, lease: lease}
	seen := false
	d.each('{', func() {
		switch name := d.key(); {
		case string(name) != "Messages":
			d.skip(0)
		case seen:
			d.bad = true
		case !d.null():
			seen = true
			d.deliveries = make([]queue.Delivery, 0, queue.MaxBatch)
			d.each('[', d.message)
		}
	})
	d.end()
	return d.deliveries, d.corrupt, !d.bad
}

// message reads one message.
func (d *decoder) message() {
	if len(d.deliveries) == cap(d.deliveries) {
		d.bad = true // more than can be asked for
		return
	}
	var (
		seen                  int
		id, handle, body, sum span
		system                systemAttributes
		named                 map[string]queue.Attribute
		from                  = &d.text
	)
	*from = (*from)[:0]
	d.each('{', func() {
		name := d.key()
		switch string(name) {
		case "MessageId":
			d.once(&seen, sawID)
			id = d.short()
		case "ReceiptHandle":
			d.once(&seen, sawHandle)
			handle = d.short()
		case "Body":
			d.once(&seen, sawBody)
			body = d.short()
		case "MD5OfBody":
			d.once(&seen, sawSum)
			sum = d.short()
		case "Attributes":
			d.once(&seen, sawSystem)
			if !d.null() {
				d.each('{', func() { d.systemAttribute(&system) })
			}
		case "MessageAttributes":
			d.once(&seen, sawAttributes)
			if !d.null() {
				named = d.attributes()
			}
		default:
			d.skip(0)
		}
	})
	if d.bad {
		return
	}
	if seen&sawSum != 0 && !matches(d.text[body.start:body.end], d.text[sum.start:sum.end], seen) {
		d.corrupt = append(d.corrupt, string(d.text[id.start:id.end]))
		return
	}
	text := string(d.text)
	d.deliveries = append(d.deliveries, queue.Delivery{
		Message: queue.Message{
			Body: body.of(text), Attributes: named, GroupID: system.group.of(text),
			DeduplicationID: system.deduplication.of(text), TraceHeader: system.trace.of(text),
		},
		MessageID: id.of(text), Handle: queue.ReceiptHandle(handle.of(text)),
		Receives: max(1, system.receives),
		Sent:     system.sent, FirstReceived: system.first,
		Received: d.received, Deadline: d.received.Add(d.lease),
		SourceARN: system.source.of(text),
	})
}

// once notes a member; the second of its name is too many.
func (d *decoder) once(seen *int, member int) {
	if *seen&member != 0 {
		d.bad = true
	}
	*seen |= member
}

// short reads a string into the message's text. A null is what the SDK takes for a missing member,
// and so does the caller: an empty span.
func (d *decoder) short() span {
	start := len(d.text)
	if d.next() == 'n' {
		d.bad = true // missing and empty differ for a body: let the SDK say
		return span{}
	}
	d.text = d.scanner.text(d.text)
	return span{start, len(d.text)}
}

// matches tells whether a body has the sum that came with it. Without a body there is nothing to
// compare, and where MD5 is forbidden nothing can be.
func matches(body, sum []byte, seen int) bool {
	if !checksums || seen&sawBody == 0 {
		return true
	}
	digest := md5.Sum(body)
	var text [2 * md5.Size]byte
	hex.Encode(text[:], digest[:])
	return bytes.Equal(text[:], sum)
}

// systemAttributes are what SQS says of a message.
type systemAttributes struct {
	group, deduplication, trace, source span

	sent, first time.Time
	receives    int
	seen        int
}

// systemAttribute reads one of them; those that no delivery has are passed over.
func (d *decoder) systemAttribute(a *systemAttributes) {
	name := d.key()
	switch string(name) {
	case "ApproximateReceiveCount":
		d.once(&a.seen, 1)
		a.receives, _ = strconv.Atoi(string(d.plain())) // unreadable counts as the first
	case "SentTimestamp":
		d.once(&a.seen, 2)
		a.sent = milliseconds(string(d.plain()))
	case "ApproximateFirstReceiveTimestamp":
		d.once(&a.seen, 4)
		a.first = milliseconds(string(d.plain()))
	case "MessageGroupId":
		d.once(&a.seen, 8)
		a.group = d.short()
	case "MessageDeduplicationId":
		d.once(&a.seen, 16)
		a.deduplication = d.short()
	case "AWSTraceHeader":
		d.once(&a.seen, 32)
		a.trace = d.short()
	case "DeadLetterQueueSourceArn":
		d.once(&a.seen, 64)
		a.source = d.short()
	default:
		d.short()
	}
}

// attributes reads the message attributes, each with strings of its own: few messages have any.
func (d *decoder) attributes() map[string]queue.Attribute {
	var all map[string]queue.Attribute
	d.each('{', func() {
		name := string(d.scanner.text(nil))
		d.take(':')
		a := d.attribute()
		if _, twice := all[name]; twice {
			d.bad = true
		}
		if all == nil {
			all = make(map[string]queue.Attribute, queue.MaxAttributes)
		}
		all[name] = a
	})
	return all
}

func (d *decoder) attribute() (a queue.Attribute) {
	seen := 0
	d.each('{', func() {
		name := d.key()
		switch string(name) {
		case "DataType":
			d.once(&seen, 1)
			a.Type = string(d.scanner.text(nil))
		case "StringValue":
			d.once(&seen, 2)
			a.Text = string(d.scanner.text(nil))
		case "BinaryValue":
			d.once(&seen, 4)
			data, err := base64.StdEncoding.AppendDecode(nil, d.plain())
			if err != nil {
				d.bad = true
			}
			a.Binary = data
		default:
			d.skip(0)
		}
	})
	return a
}

// decodeSettled reads the answer of a batch in which every entry was accepted; false when it is
// anything else, which the SDK reads then.
func decodeSettled(body []byte, n int) bool {
	s := scanner{b: body}
	accepted, seen := 0, 0
	s.each('{', func() {
		name := s.key()
		switch string(name) {
		case "Successful":
			s.each('[', func() {
				s.each('{', func() {
					if member := s.key(); string(member) != "Id" {
						s.bad = true
						return
					}
					id := s.plain()
					if len(id) != 1 || id[0] < '0' || id[0] >= '0'+byte(n) || seen&(1<<(id[0]-'0')) != 0 {
						s.bad = true
						return
					}
					seen |= 1 << (id[0] - '0')
					accepted++
				})
			})
		case "Failed":
			s.each('[', func() { s.bad = true })
		default:
			s.skip(0)
		}
	})
	s.end()
	return !s.bad && accepted == n
}
