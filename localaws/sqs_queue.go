package localaws

// sqsAttribute is a message attribute. Binary types use Binary, all others String.
type sqsAttribute struct {
	Type   string
	String string
	Binary []byte
}

// sqsMessage is what a producer sends.
type sqsMessage struct {
	body        string
	attributes  map[string]sqsAttribute
	groupID     string // MessageGroupId
	traceHeader string // AWSTraceHeader
}

// sqsQueue is one standard queue. Server.mu guards it.
type sqsQueue struct {
	arn, name string
	policy    string
}

// queueByARN finds a queue, or nil. s.mu is held.
func (s *Server) queueByARN(arn string) *sqsQueue { return s.queues[arn] }

// deliver puts a message into a queue, or says why SQS refuses it. s.mu is held.
func (s *Server) deliver(queueARN string, _ sqsMessage) error {
	if s.queueByARN(queueARN) == nil {
		return refuse("QueueDoesNotExist", "The specified queue does not exist.")
	}
	return nil
}

func (c *call) runSQS() (any, error) { return nil, unsupported(c.action) }
