package localaws

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// queueByARN finds a queue, or nil. s.mu is held.
func (s *Server) queueByARN(arn string) *sqsQueue {
	q := s.queues[arn]
	if q != nil {
		q.refresh(time.Now())
	}
	return q
}

// queue finds the queue of a queue URL that the caller may use. s.mu is held.
func (c *call) queue(queueURL string) (*sqsQueue, error) {
	if queueURL == "" {
		return nil, c.noQueueURL()
	}
	account, name := c.address(queueURL)
	arn := c.arnOf(account, "sqs", name)
	q := c.s.queueByARN(arn)
	if q == nil {
		q = c.s.nasty.ghost(arn)
	}
	if q == nil {
		return nil, noSuchQueue()
	}
	if err := c.mayUse(q); err != nil {
		return nil, err
	}
	c.s.advance()
	return q, nil
}

// address reads a queue URL. Only the last two parts of its path count, and the region is that of
// the signature, as on AWS: the host is whatever the client reaches the server by. A URL of any other
// form names no queue, but the bare name of one of the caller's queues does. Sources: getmoto/moto
// 3657 and 5073, aws/aws-sdk-js-v3 6150.
func (c *call) address(queueURL string) (account, name string) {
	if !strings.Contains(queueURL, "/") {
		return c.account, queueURL
	}
	u, err := url.Parse(queueURL)
	if err != nil {
		return "", ""
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) < 2 {
		return "", ""
	}
	return parts[len(parts)-2], parts[len(parts)-1]
}

// noQueueURL is what a request without a queue gets: of the Query protocol it is the address it was
// sent to that is wrong.
func (c *call) noQueueURL() error {
	if c.form == nil {
		return missing("QueueUrl")
	}
	return &apiError{Status: http.StatusNotFound, Code: "InvalidAddress", Message: "The address " + c.base() + "/ is not valid for this endpoint."}
}

func (c *call) queueURL(q *sqsQueue) string { return c.base() + "/" + q.account + "/" + q.name }

func noSuchQueue() *apiError {
	return refuse("QueueDoesNotExist", "The specified queue does not exist.")
}
