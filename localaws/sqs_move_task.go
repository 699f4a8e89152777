package localaws

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"
)

// The states of a message move task. Cancelling takes no time here, so CANCELLING is never seen.
const (
	taskRunning   = "RUNNING"
	taskCompleted = "COMPLETED"
	taskCancelled = "CANCELLED"
	taskFailed    = "FAILED"
)

const (
	// freeRate is how many messages a second are moved when nobody says how many may be. AWS says
	// only that it chooses well.
	freeRate = 100_000
	// moveTick is the shortest time between two moments at which messages are moved.
	moveTick = 10 * time.Millisecond
	// keptTasks is how many tasks of a queue are remembered. Source: ListMessageMoveTasks, SQS API
	// reference.
	keptTasks = 10
	// longestMove is how long a task may run. Source: "Configuring a dead-letter queue redrive",
	// Developer Guide; how it ends then is inferred.
	longestMove = 36 * time.Hour
)

// moveTask moves messages out of a dead-letter queue. It moves as many as were visible when it was
// started, or fewer when they go another way. Server.mu guards it.
type moveTask struct {
	id            string
	from          *sqsQueue
	to            string // an ARN; empty: each message where it came from
	rate          int    // messages a second at most; 0: nobody said
	started       time.Time
	moved, toMove int
	status        string
	failure       string // why it has failed
	alarm         *time.Timer
}

// handle names a task, in the form that AWS's have.
func (t *moveTask) handle() string {
	text, err := json.Marshal(taskName{t.id, t.from.arn})
	if err != nil {
		return "" // two strings always encode
	}
	return base64.StdEncoding.EncodeToString(text)
}

type taskName struct {
	ID     string `json:"taskId"`
	Source string `json:"sourceArn"`
}

func readTaskHandle(handle string) (name taskName, ok bool) {
	text, err := base64.StdEncoding.DecodeString(handle)
	return name, err == nil && json.Unmarshal(text, &name) == nil && name.ID != "" && name.Source != ""
}

// pace is how many messages a second are moved.
func (t *moveTask) pace() time.Duration {
	if t.rate == 0 {
		return freeRate
	}
	return time.Duration(t.rate)
}

// allowed is how many messages may have been moved by now: the first one at once.
func (t *moveTask) allowed(now time.Time) int {
	return 1 + int(now.Sub(t.started).Milliseconds()*int64(t.pace())/1000)
}

// more says whether there is anything left to move.
func (t *moveTask) more() bool { return t.moved < t.toMove && t.from.line.ready() }

// advance brings the running tasks up to now. s.mu is held.
func (s *Server) advance() {
	for _, t := range slices.Clone(s.moves) {
		s.moveSome(t)
	}
}

// moveSome moves what may be moved by now, and sees to it that the rest follows. s.mu is held.
func (s *Server) moveSome(t *moveTask) {
	now := time.Now()
	if s.queues[t.from.arn] != t.from {
		s.endTask(t, taskFailed, queryCode(noSuchQueue().Code))
		return
	}
	if now.Sub(t.started) >= longestMove {
		s.endTask(t, taskFailed, "TaskTimedOut")
		return
	}
	t.from.refresh(now)
	for most := t.allowed(now); t.status == taskRunning && t.moved < most && t.more(); {
		s.moveOne(t)
	}
	switch {
	case t.status != taskRunning:
		return
	case !t.more():
		s.endTask(t, taskCompleted, "")
		return
	}
	if t.alarm != nil {
		t.alarm.Stop()
	}
	next := t.started.Add(time.Second * time.Duration(t.moved) / t.pace())
	t.alarm = time.AfterFunc(max(next.Sub(now), moveTick), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if t.status == taskRunning {
			s.moveSome(t)
		}
	})
}

// moveOne moves the next message. It arrives as a new one: with another id, another age, and never
// received. What cannot be moved ends the task, and stays.
func (s *Server) moveOne(t *moveTask) {
	for m := range t.from.line.all {
		target := t.to
		if target == "" {
			target = m.source
		}
		to := s.queues[target]
		switch {
		case target == "":
			s.endTask(t, taskFailed, "CouldNotDetermineMessageSource")
			return
		case to == nil:
			s.endTask(t, taskFailed, queryCode(noSuchQueue().Code))
			return
		}
		moved := m.sqsMessage
		if err := to.checkMessage(&moved); err != nil {
			s.endTask(t, taskFailed, queryCode(asAPI(err).Code))
			return
		}
		t.from.remove(m)
		s.enqueue(to, moved, m.sender, to.delay)
		t.moved++
		return
	}
}

// endTask ends a task for good. s.mu is held.
func (s *Server) endTask(t *moveTask, status, failure string) {
	t.status, t.failure = status, failure
	if t.alarm != nil {
		t.alarm.Stop()
	}
	s.moves = slices.DeleteFunc(s.moves, func(other *moveTask) bool { return other == t })
}
