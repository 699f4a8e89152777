package main

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// stubCommand is the argument that makes this program the stub.
	stubCommand = "stub"
	mostAtOnce  = 10
)

// body is what each message carries: an invitation, as small as real ones are.
const body = `{"event":"user_invited","email":"ada@example.com","invited_by":"grace@example.com"}`

// counts are what the stub was asked for, and what it handed out.
type counts struct {
	Requests int64 `json:"requests"` // of any kind
	Receives int64 `json:"receives"`
	Given    int64 `json:"given"` // messages
	Deleted  int64 `json:"deleted"`
	Returned int64 `json:"returned"` // given back at once
	// Empties are the long polls that ended with nothing, the last of them at EmptyAt (unix ns).
	Empties int64 `json:"empties"`
	EmptyAt int64 `json:"empty_at"`
}

// inFlight is what a worker that has gone leaves hidden.
func (c counts) inFlight() int64 { return c.Given - c.Deleted - c.Returned }

func (c counts) less(before counts) counts {
	return counts{
		c.Requests - before.Requests, c.Receives - before.Receives, c.Given - before.Given,
		c.Deleted - before.Deleted, c.Returned - before.Returned, c.Empties - before.Empties, c.EmptyAt,
	}
}

func (s *stub) counts() counts {
	return counts{
		s.requests.Load(), s.receives.Load(), s.given.Load(), s.deleted.Load(), s.returned.Load(), s.empties.Load(), s.empty.Load(),
	}
}

// stub speaks as much of SQS's JSON protocol as one worker needs and does as little as it can: its
// work is taken from the same processors. Every message is a new one, or the worker would rightly
// take it for one that it has already handled.
type stub struct {
	next                     atomic.Int64
	requests, receives       atomic.Int64
	given, deleted, returned atomic.Int64
	empties, empty           atomic.Int64
	before, between, after   []byte // of a message: id, receipt handle

	delay   atomic.Int64
	rated   atomic.Bool
	ready   chan struct{} // messages that have come
	feeding chan struct{}
	mu      sync.Mutex // of set
}

// full is the rate of a queue that never runs dry.
const full = "full"

func newStub() *stub {
	sum := md5.Sum([]byte(body))
	quoted, err := json.Marshal(body)
	if err != nil {
		panic(err) // a constant
	}
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	return &stub{
		ready:   make(chan struct{}, 1000),
		before:  []byte(`{"MessageId":"00000000-0000-4000-8000-0`),
		between: []byte(`","ReceiptHandle":"AQEB`),
		after: fmt.Appendf(nil, `","MD5OfBody":"%s","Body":%s,"Attributes":{"ApproximateReceiveCount":"1",`+
			`"SentTimestamp":"%s","ApproximateFirstReceiveTimestamp":"%s","SenderId":"AIDASTUB"}}`,
			hex.EncodeToString(sum[:]), quoted, now, now),
	}
}

// answer is what the stub says to one request; nil to what it does not know.
func (s *stub) answer(target string, request []byte) []byte {
	s.requests.Add(1)
	switch target {
	case "AmazonSQS.ReceiveMessage":
		return s.receive(asked(request))
	case "AmazonSQS.DeleteMessageBatch":
		ids := entries(request)
		s.deleted.Add(int64(len(ids)))
		s.travel()
		return accepted(ids, "")
	case "AmazonSQS.ChangeMessageVisibilityBatch":
		// Given back at once, or kept for longer: only the first leaves the flight.
		s.returned.Add(int64(bytes.Count(request, []byte(`"VisibilityTimeout":0}`))))
		s.travel()
		return accepted(entries(request), "")
	case "AmazonSQS.SendMessageBatch":
		return accepted(entries(request), `,"MessageId":"00000000-0000-4000-8000-000000000000"`)
	}
	return nil
}

// travel is half of the way there and back.
func (s *stub) travel() {
	if d := time.Duration(s.delay.Load()) / 2; d > 0 {
		<-time.After(d)
	}
}

// receive answers a receive of n: at once with all of them when the queue is full, and with what
// there is, or nothing after a long poll, when messages come at a rate.
func (s *stub) receive(n int) []byte {
	s.receives.Add(1)
	s.travel()
	if s.rated.Load() {
		n = s.wait(n)
	}
	s.given.Add(int64(n))
	b := s.messages(n)
	s.travel()
	return b
}

// longPoll is how long an empty receive waits.
const longPoll = 20 * time.Second

// wait takes up to n messages of those that have come, and waits for the first.
func (s *stub) wait(n int) int {
	select {
	case <-s.ready:
	case <-time.After(longPoll):
		s.empty.Store(time.Now().UnixNano())
		s.empties.Add(1)
		return 0
	}
	got := 1
	for got < n {
		select {
		case <-s.ready:
			got++
		default:
			return got
		}
	}
	return got
}

// set takes a setting: how long the way there and back is, and how many messages come per second;
// full as the rate is a queue that never runs dry.
func (s *stub) set(delay time.Duration, rate string) error {
	s.delay.Store(int64(delay))
	if s.feeding != nil {
		close(s.feeding)
		s.feeding = nil
	}
	s.rated.Store(rate != full)
	if rate == full {
		return nil
	}
	each, err := strconv.Atoi(rate)
	if err != nil {
		return err
	}
	if each <= 0 {
		return nil // nothing comes
	}
	end := make(chan struct{})
	s.feeding = end
	go func() {
		tick := time.NewTicker(time.Second / time.Duration(each))
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				select {
				case s.ready <- struct{}{}:
				default:
				}
			case <-end:
				return
			}
		}
	}()
	return nil
}

// messages is the answer to a receive of n.
func (s *stub) messages(n int) []byte {
	first := s.next.Add(int64(n)) - int64(n)
	b := make([]byte, 0, 32+n*(len(s.before)+len(s.between)+len(s.after)+32))
	b = append(b, `{"Messages":[`...)
	for i := range int64(n) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, s.before...)
		b = serial(b, first+i)
		b = append(b, s.between...)
		b = serial(b, first+i)
		b = append(b, s.after...)
	}
	return append(b, "]}"...)
}

// serial appends n in eleven digits: with the one before it, the last group of a UUID.
func serial(b []byte, n int64) []byte {
	const digits = 11
	start := len(b)
	b = append(b, "00000000000"...)
	for i := start + digits - 1; n > 0 && i >= start; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

// asked reads MaxNumberOfMessages without decoding the rest.
func asked(request []byte) int {
	_, rest, ok := bytes.Cut(request, []byte(`"MaxNumberOfMessages":`))
	n := 0
	for i := 0; ok && i < len(rest) && rest[i] >= '0' && rest[i] <= '9'; i++ {
		n = n*10 + int(rest[i]-'0')
	}
	return min(max(n, 1), mostAtOnce)
}

// entries reads the ids of a batch. Neither side of the benchmark escapes anything in them.
func entries(request []byte) [][]byte {
	ids := make([][]byte, 0, mostAtOnce)
	for {
		_, rest, ok := bytes.Cut(request, []byte(`"Id":"`))
		if !ok {
			return ids
		}
		id, rest, ok := bytes.Cut(rest, []byte(`"`))
		if !ok {
			return ids
		}
		ids, request = append(ids, id), rest
	}
}

// accepted is the answer to a batch: every entry, and what else each one says.
func accepted(ids [][]byte, more string) []byte {
	b := make([]byte, 0, 64+len(ids)*(16+len(more)))
	b = append(b, `{"Failed":[],"Successful":[`...)
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"Id":"`...)
		b = append(b, id...)
		b = append(b, '"')
		b = append(b, more...)
		b = append(b, '}')
	}
	return append(b, "]}"...)
}
