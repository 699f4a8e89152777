package localaws

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options say where the server pretends to be. The zero value is good.
type Options struct {
	// Region is used for requests that name none in their signature: "us-east-1".
	Region string
	// Account owns everything: "000000000000".
	Account string
	// Nasty makes the server as slow and as inexact as AWS may be.
	Nasty Nasty
	// Deliver carries what SNS posts to HTTP endpoints. Nil is a transport that reaches loopback
	// addresses only: a delivery to anywhere else has failed for good, and Dropped tells of it.
	Deliver http.RoundTripper
}

// Server is SQS, SNS and STS in one. It has no goroutines of its own, only timers while somebody waits
// for a message, and the posts of SNS to HTTP endpoints: only a server that has such subscriptions
// needs Close.
type Server struct {
	region, account string

	// mu guards everything below. It is never held while waiting for anything, so that a goroutine
	// blocked on it always gets it at once.
	mu       sync.Mutex
	queues   map[string]*sqsQueue // by ARN
	deleted  map[string]time.Time // when a queue of this ARN was deleted, for QueueDeletedRecently
	moves    []*moveTask          // those that run
	nasty    *nastiness
	sns      snsState
	posts    *posts
	controls []*control // copied on write: read without mu once taken
	drops    []func(Drop)
	serial   uint64 // the last number given to a queue or a message
}

// New makes a server without queues and topics.
func New(o Options) *Server {
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.Account == "" {
		o.Account = "000000000000"
	}
	return &Server{
		region: o.Region, account: o.Account,
		nasty: newNastiness(o.Nasty), queues: map[string]*sqsQueue{}, deleted: map[string]time.Time{}, sns: newSNSState(), posts: newPosts(o.Deliver),
	}
}

// ServeHTTP answers one request of any of the services: they differ by what the request says, so
// that all of them live at one address.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, err := s.answer(r)
	if err != nil {
		sever(w)
		return
	}
	a.write(w)
}

// sever ends the connection without an answer.
func sever(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		conn.Close() //nolint:errcheck // there is nobody left to tell
		return
	}
	// HTTP/2 and recorders cannot be cut off; a gateway's answer is the nearest thing to none.
	w.WriteHeader(http.StatusBadGateway)
}

// partition is the part of the AWS cloud that a region belongs to, as ARNs spell it.
func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	default:
		return "aws"
	}
}
