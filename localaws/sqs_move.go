package localaws

import (
	"net/http"
	"slices"
	"time"
)

// Limits of message move tasks. Source: StartMessageMoveTask and ListMessageMoveTasks, SQS API
// reference.
const (
	maxMoveRate = 500
	maxTasks    = 100 // that run at a time, of an account
)

// noResource is SQS's answer to an ARN or a handle that names nothing, recorded on AWS.
func noResource(text string) *apiError {
	return &apiError{Status: http.StatusNotFound, Code: "ResourceNotFoundException", Message: text}
}

func noQueueOf(parameter string) *apiError {
	return noResource("The resource that you specified for the " + parameter + " parameter doesn't exist.")
}

// ownQueue finds the queue of an ARN that is the caller's, in the call's region. s.mu is held.
func (c *call) ownQueue(arn, parameter string) (*sqsQueue, error) {
	if arn == "" {
		return nil, missing(parameter)
	}
	q := c.s.queues[arn]
	if q == nil || q.account != c.account || q.region != c.region {
		return nil, noQueueOf(parameter)
	}
	q.refresh(time.Now())
	return q, nil
}

type startMoveInput struct {
	SourceARN                    string `json:"SourceArn"`
	DestinationARN               string `json:"DestinationArn"`
	MaxNumberOfMessagesPerSecond *int
}

type taskOutput struct {
	TaskHandle string
}

func startMessageMoveTask(c *call, in *startMoveInput) (any, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.advance()
	from, err := c.ownQueue(in.SourceARN, "SourceArn")
	if err != nil {
		return nil, err
	}
	if err := c.checkMove(from, in); err != nil {
		return nil, err
	}
	t := &moveTask{
		id: newID(), from: from, to: in.DestinationARN, status: taskRunning,
		started: time.Now(), toMove: from.number[visible],
	}
	if in.MaxNumberOfMessagesPerSecond != nil {
		t.rate = *in.MaxNumberOfMessagesPerSecond
	}
	from.tasks = append([]*moveTask{t}, from.tasks[:min(len(from.tasks), keptTasks-1)]...)
	c.s.moves = append(c.s.moves, t)
	c.s.moveSome(t)
	return taskOutput{t.handle()}, nil
}

// checkMove says why messages cannot be moved out of a queue, or nil.
func (c *call) checkMove(from *sqsQueue, in *startMoveInput) error {
	if rate := in.MaxNumberOfMessagesPerSecond; rate != nil && (*rate < 1 || *rate > maxMoveRate) {
		return outside(*rate, "MaxNumberOfMessagesPerSecond", 1, maxMoveRate)
	}
	if in.DestinationARN != "" {
		to, err := c.ownQueue(in.DestinationARN, "DestinationArn")
		switch {
		case err != nil:
			return err
		case to == from: // this and the next are inferred
			return badValue("Value %s for parameter DestinationArn is invalid. Reason: It is the source queue.", in.DestinationARN)
		case to.fifo != from.fifo:
			return badValue("Value %s for parameter DestinationArn is invalid. Reason: It must be the same type of queue as the source.", in.DestinationARN)
		}
	}
	if !c.s.isDeadLetterQueue(from.arn) {
		return badValue("Source queue must be configured as a Dead Letter Queue.")
	}
	running := 0
	for _, t := range c.s.moves {
		if t.from == from {
			return badValue("There is already a task running. Only one active task is allowed for a source queue arn at a given time.")
		}
		if t.from.account == c.account {
			running++
		}
	}
	if running >= maxTasks {
		return &apiError{Status: http.StatusForbidden, Code: "OverLimit", Message: "An account can have 100 active message movement tasks."}
	}
	return nil
}

func (s *Server) isDeadLetterQueue(arn string) bool {
	for _, q := range s.queues {
		if q.redrive != nil && q.redrive.target == arn {
			return true
		}
	}
	return false
}

// moveOutput is a task as it is listed: with its handle only while it runs.
type moveOutput struct {
	TaskHandle                        string `json:",omitempty"`
	Status                            string
	SourceARN                         string `json:"SourceArn"`
	DestinationARN                    string `json:"DestinationArn,omitempty"`
	MaxNumberOfMessagesPerSecond      int    `json:",omitempty"`
	ApproximateNumberOfMessagesMoved  int
	ApproximateNumberOfMessagesToMove int
	FailureReason                     string `json:",omitempty"`
	StartedTimestamp                  int64  // milliseconds since 1970
}

func listMessageMoveTasks(c *call, in *struct {
	SourceARN  string `json:"SourceArn"`
	MaxResults *int
},
) (any, error) {
	most := 1
	if in.MaxResults != nil {
		most = *in.MaxResults
	}
	if most < 1 || most > keptTasks {
		return nil, badValue("Value %d for parameter MaxResults is invalid. Reason: Must be between 1 and 10, if provided.", most)
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.advance()
	from, err := c.ownQueue(in.SourceARN, "SourceArn")
	if err != nil {
		return nil, err
	}
	results := []moveOutput{}
	for _, t := range from.tasks[:min(most, len(from.tasks))] {
		out := moveOutput{
			Status: t.status, SourceARN: from.arn, DestinationARN: t.to, MaxNumberOfMessagesPerSecond: t.rate,
			ApproximateNumberOfMessagesMoved: t.moved, ApproximateNumberOfMessagesToMove: t.toMove,
			FailureReason: t.failure, StartedTimestamp: t.started.UnixMilli(),
		}
		if t.status == taskRunning {
			out.TaskHandle = t.handle()
		}
		results = append(results, out)
	}
	return struct{ Results []moveOutput }{results}, nil
}

func cancelMessageMoveTask(c *call, in *taskOutput) (any, error) {
	if in.TaskHandle == "" {
		return nil, missing("TaskHandle")
	}
	name, ok := readTaskHandle(in.TaskHandle)
	if !ok {
		return nil, badValue("Value for parameter TaskHandle is invalid.")
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.advance()
	from, err := c.ownQueue(name.Source, "SourceArn")
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(from.tasks, func(t *moveTask) bool { return t.id == name.ID })
	switch {
	case i < 0:
		return nil, noResource("Task does not exist.")
	case from.tasks[i].status != taskRunning: // inferred: "can only be cancelled when the current status is RUNNING"
		return nil, badValue("Only active tasks can be cancelled.")
	}
	c.s.endTask(from.tasks[i], taskCancelled, "")
	return struct{ ApproximateNumberOfMessagesMoved int }{from.tasks[i].moved}, nil
}
