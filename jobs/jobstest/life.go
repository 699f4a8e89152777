package jobstest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// Try is one run of a job in a Life.
type Try struct {
	// At is when it began, counted from the send of the first message; Took is how long it ran.
	At, Took time.Duration
	// Attempt counts the tries that were spent, from 1.
	Attempt int
	// Batch is how many messages the job was given at once, this one among them: 1 for a single job.
	Batch int
	// Err is what the job answered, Decision what the worker did about it.
	Err      error
	Decision retry.Decision
}

// Life is what became of one message, from its send to its end.
type Life struct {
	// Name is the message's ID where one was given, else message-1 and so on; published-1 and so on for
	// what the job published itself (Subscribed).
	Name string
	// Tries are the runs of the job, in order.
	Tries []Try
	// Done: the job succeeded and the message was deleted. Otherwise it lies in the dead-letter queue.
	Done bool
	// Dead is the dead letter as it lies there, Record the failure record that it carries. V is 0 when
	// there is none: SQS itself moved the message, after too many receives.
	Dead   queue.Message
	Record deadletter.Record
	// Published is what the job published in the tries of this message, in order; where it was one of a
	// batch, all that was published in that run.
	Published []Published
	// Lasted is from the send of the first message to the end of this one.
	Lasted time.Duration

	t     testing.TB
	job   string
	group string
	due   time.Time // when it comes back, while it is hidden
	ended bool
}

// Live sends one message to a queue of package localaws and lets a worker's own poller give it to the job
// until it has been deleted or lies in the dead-letter queue. Time is virtual (testing/synctest): retries
// over hours take milliseconds, and a job that waits takes no time at all. So Live must not be called in a
// bubble.
//
// Retries follow Policy. A worker draws each delay below its bound; here it is the bound itself, so that a
// time table can be expected to the second. The job is set up once. Options that are of one delivery
// (Attempt, Sent) have no meaning here.
//
// The clock stands still while a goroutine of the job waits on a socket. That is what lets a job talk to a
// server of the test, which answers at no time at all; but a connection that stays open between tries would
// stop the clock for ever. Those of http.DefaultTransport are closed after each try, and Serve makes a
// server that closes its own. After ten seconds in which nothing moved, or thirty within a try, the test
// ends with what it was that waited. Lives of parallel tests run one at a time.
//
// That the job cannot be set up, or that the message has not ended after four days, ends the test.
func Live[J Job](t *testing.T, job J, body any, o ...Option) *Life {
	t.Helper()
	return LiveAll(t, job, []any{body}, o...).Each[0]
}

// WantDone fails the test unless the job succeeded, at this attempt.
func (l *Life) WantDone(attempt int) {
	l.t.Helper()
	switch {
	case !l.Done:
		l.fail("want it done at attempt %d, it is dead", attempt)
	case l.attempt() != attempt:
		l.fail("want it done at attempt %d, it was done at attempt %d", attempt, l.attempt())
	}
}

// WantDead fails the test unless the message was dead-lettered with a record of this class.
func (l *Life) WantDead(class string) {
	l.t.Helper()
	l.wantRecord(fmt.Sprintf("with class %q", class), l.Record.Class == class, fmt.Sprintf("its class is %q", l.Record.Class))
}

// WantReason fails the test unless the message was dead-lettered with a record that gives this reason: what
// the job answered, without anything that differs from message to message.
func (l *Life) WantReason(reason string) {
	l.t.Helper()
	l.wantRecord(fmt.Sprintf("because %q", reason), l.Record.Reason == reason, fmt.Sprintf("the reason is %q", l.Record.Reason))
}

// wantRecord fails the test unless the message was dead-lettered with a record that is as it is wanted.
func (l *Life) wantRecord(how string, is bool, otherwise string) {
	l.t.Helper()
	switch {
	case l.Done:
		l.fail("want it dead %s, it was done", how)
	case !l.Record.Failed():
		l.fail("want it dead %s, SQS moved it and it has no record", how)
	case !is:
		l.fail("want it dead %s, %s", how, otherwise)
	}
}

// WantTries fails the test unless the job was run at these times, counted from the send, to the second.
func (l *Life) WantTries(at ...time.Duration) {
	l.t.Helper()
	got := make([]time.Duration, len(l.Tries))
	for n, try := range l.Tries {
		got[n] = try.At.Round(time.Second)
	}
	if !slices.Equal(got, at) {
		l.fail("want it tried at %s, it was tried at %s", times(at), times(got))
	}
}

// WantPublished fails the test unless the job published to these topics, in this order; without a topic,
// unless it published nothing.
func (l *Life) WantPublished(topics ...string) {
	l.t.Helper()
	if !slices.Equal(topicsOf(l.Published), topics) {
		l.fail("want %s, got %s", toTopics(topics), toTopics(topicsOf(l.Published)))
	}
}

// attempt is that of the last try; 0 without one.
func (l *Life) attempt() int {
	if len(l.Tries) == 0 {
		return 0
	}
	return l.Tries[len(l.Tries)-1].Attempt
}

func (l *Life) fail(format string, a ...any) {
	l.t.Helper()
	l.t.Errorf("jobstest: %s of job %s: %s:\n%s", l.Name, l.job, fmt.Sprintf(format, a...), l)
}
