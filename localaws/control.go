package localaws

import (
	"net/http"
	"slices"
	"time"
)

// Request is what a control function sees of a request before it is performed.
type Request struct {
	Service string // "sqs", "sns", "sts"
	Action  string
	Region  string
	Account string // of the caller
	// Target is the queue URL or the ARN that the request names, "" when it names none. Of the Query
	// protocol it may be the URL that the request was sent to.
	Target string
	// Entries are the ids of a batch, in order.
	Entries []string
	Header  http.Header
	Body    []byte
}

// Fault is what goes wrong with one request. Its parts can be combined. What goes wrong with AWS:
//
//	Fault{Status: 403, Code: "RequestThrottled"}         SQS throttles
//	Fault{Status: 429, Code: "Throttled"}                SNS throttles
//	Fault{Status: 500, Code: "InternalFailure"}          an error of the service
//	Fault{Status: 503}                                   an answer without a body
//	Fault{Status: 503, Body: "<html>…"}                  an answer of something before the service
//	Fault{Delay: time.Second}                            a slow request
//	Fault{Late: time.Minute}                             a slow answer: what was asked for is done
//	Fault{Cut: true}                                     a connection that breaks before
//	Fault{Lose: true}                                    a connection that breaks after
//	Fault{Entries: map[string]string{"2": "InternalError"}}  an entry of a batch that fails
//	Fault{CorruptMD5: true}                              a message that was damaged on its way
type Fault struct {
	// Delay passes before anything else; a request that is given up meanwhile is not performed.
	Delay time.Duration
	// Code, when not empty, is answered instead of performing the request, with Status (400) and
	// Message. A Status alone is an answer with Body and nothing else, as of a load balancer.
	Status        int
	Code, Message string
	Body          string
	// Cut breaks the connection instead of performing the request.
	Cut bool
	// Late passes between the request's effect and its answer.
	Late time.Duration
	// Lose performs the request and then loses the answer: the connection breaks.
	Lose bool
	// Entries fails entries of a batch: id to error code. The others are performed.
	Entries map[string]string
	// CorruptMD5 answers checksums that do not fit what was sent or received.
	CorruptMD5 bool
}

// Drop is a message that AWS would lose without telling anybody, or one for a subscription that this
// server delivers to nobody: mail, text messages, functions.
type Drop struct {
	Reason                    string
	TopicARN, SubscriptionARN string
	// QueueARN is the queue that it was for, Endpoint whatever else.
	QueueARN, Endpoint string
	MessageID          string
}

type control struct {
	action string
	f      func(*Request) *Fault
}

// Control lets f look at each request of an action ("ReceiveMessage", "Publish"; "" is every
// action) and spoil it: nil leaves it alone. The first function that returns a fault wins. f is
// called by the goroutine of the request, several at a time. stop removes it.
func (s *Server) Control(action string, f func(*Request) *Fault) (stop func()) {
	c := &control{action: action, f: f}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.controls = append(slices.Clone(s.controls), c)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.controls = slices.DeleteFunc(slices.Clone(s.controls), func(other *control) bool { return other == c })
	}
}

// Dropped calls f for every message that is lost in silence, before the request that lost it is
// answered; what was for an HTTP endpoint is lost later, when its last attempt has failed. f must not
// wait for the server.
func (s *Server) Dropped(f func(Drop)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drops = append(slices.Clone(s.drops), f)
}

// drop tells of a lost message. s.mu must not be held.
func (s *Server) drop(d Drop) {
	s.mu.Lock()
	drops := s.drops
	s.mu.Unlock()
	for _, f := range drops {
		f(d)
	}
}

// inject asks the controls about a call.
func (s *Server) inject(c *call) *Fault {
	s.mu.Lock()
	controls := s.controls
	s.mu.Unlock()
	var r *Request
	for _, control := range controls {
		if control.action != "" && control.action != c.action {
			continue
		}
		if r == nil {
			r = c.describe()
		}
		if fault := control.f(r); fault != nil {
			return fault
		}
	}
	return nil
}

// entryFault is the injected failure of a batch entry, or nil.
func (c *call) entryFault(id string) *apiError {
	if c.fault == nil || c.fault.Entries[id] == "" {
		return nil
	}
	e := refuse(c.fault.Entries[id], "injected")
	if e.Code == "InternalError" || e.Code == "ServiceUnavailable" {
		e.Type = "Receiver"
	}
	return e
}
