// Package doctor tells where a message would derail. It looks at what SQS and SNS answered about a
// topology (topology.State) and at how the worker treats its queues, and names each way in which
// messages get lost, come twice or cost too much: with a stable code, the evidence, what would
// happen to a message, and what mends it.
//
// It asks nothing of SQS and SNS itself. What needs KMS, CloudWatch or the worker's own permissions
// goes through the ports Keys, Alarms and Rights, each of which may be missing. What could not be
// looked at is Unknown, never right.
package doctor

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/stationmaster/worker/topology"
)

// Options are what is examined.
type Options struct {
	Topology topology.Topology
	State    *topology.State
	// Work is how the worker treats each queue, by the queue's name. A queue without is not polled.
	Work map[string]Work
	// Drain is how long the worker's drain may take; Grace is what it is given before it is killed, 0
	// when nobody has said.
	Drain, Grace time.Duration
	// HTTPTimeout bounds each request of the worker, 0 when nothing does.
	HTTPTimeout time.Duration
	// Samples are messages as they are published.
	Samples []Sample
	// Brief: State is a brief observation, so that what it leaves out is not looked for.
	Brief bool
	// Local: the endpoint is not AWS, and has no delivery logs and no alarms that anybody would read.
	Local bool
	// Endpoint is said in the commands that are printed; empty where they find theirs by themselves.
	Endpoint string

	Keys   Keys   // nil: nobody asks KMS
	Alarms Alarms // nil: nobody asks CloudWatch
	Rights Rights // nil: nobody tries the worker's permissions
}

// Work is how the worker treats one queue.
type Work struct {
	// Timeout of one attempt, the longest when the queue has several jobs; 0 when none has one.
	// Visibility is sent with each receive, 0 when the queue's own holds.
	Timeout, Visibility, Wait time.Duration
	// Unbounded: one of its jobs has no timeout, though another has.
	Unbounded bool
	Attempts  int
	// Retries is the longest that all delays between the attempts can take.
	Retries time.Duration
	Slots   int
	// ByAttribute: which job a message is for stands in its attributes.
	ByAttribute bool
}

// Mend says what mends a finding.
type Mend struct {
	// Apply: worker topology apply does.
	Apply bool   `json:"apply"`
	Text  string `json:"text"`
	// AWS is the same as plain command lines of the AWS CLI.
	AWS []string `json:"aws,omitempty"`
}

// Finding is one thing that is wrong.
type Finding struct {
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	Title    string   `json:"title"`
	Subject  string   `json:"subject"` // "queue email"
	// Queues are the names of the declared queues that suffer.
	Queues   []string `json:"queues,omitempty"`
	Evidence []string `json:"evidence"` // what was read
	Happens  string   `json:"happens"`  // to a message
	Mend     Mend     `json:"mend"`
}

// Error says the finding in a line.
func (f *Finding) Error() string {
	return f.Code + " " + f.Subject + ": " + lower(f.Title) + " (" + strings.Join(f.Evidence, "; ") + "); " + f.Mend.Text
}

// Unknown is what could not be looked at.
type Unknown struct {
	Codes    []string `json:"codes"`
	Subjects []string `json:"subjects"`
	Reason   string   `json:"reason"`
	// Mend is what would let it be looked at; empty when nothing here would.
	Mend string `json:"mend,omitempty"`
	// Refused: AWS would have told, and did not: see Report.ExitCode.
	Refused bool `json:"refused"`
}

// Report is what an examination found.
type Report struct {
	Findings []Finding `json:"findings"` // the worst first, then by code and subject
	Unknown  []Unknown `json:"unknown"`
	Proofs   []Proof   `json:"canary,omitempty"` // when canaries were sent
	// How many were looked at.
	Topics           int `json:"topics"`
	Queues           int `json:"queues"`
	DeadLetterQueues int `json:"dead_letter_queues"`
	Subscriptions    int `json:"subscriptions"`
}

// The exit codes of an examination.
const (
	ExitHealthy  = 0
	ExitWarnings = 3
	ExitLost     = 4
)

// ExitCode is 4 when messages would be lost or a canary has not arrived, and 3 when there are other
// findings or AWS refused to answer: what could not be looked at is not healthy.
func (r *Report) ExitCode() int {
	code := ExitHealthy
	for _, p := range r.Proofs {
		if !p.Arrived && p.Err == nil {
			return ExitLost
		}
		if p.Err != nil {
			code = ExitWarnings
		}
	}
	for _, f := range r.Findings {
		if f.Severity == Critical {
			return ExitLost
		}
		code = ExitWarnings
	}
	if r.Refused() {
		code = ExitWarnings
	}
	return code
}

// Refused tells whether AWS refused to answer something.
func (r *Report) Refused() bool {
	return slices.ContainsFunc(r.Unknown, func(u Unknown) bool { return u.Refused })
}

// Lost returns the finding that makes a queue lose messages, nil when none does.
func (r *Report) Lost(queue string) *Finding {
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Severity == Critical && slices.Contains(f.Queues, queue) {
			return f
		}
	}
	return nil
}

// Fixable tells whether apply would mend anything.
func (r *Report) Fixable() bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Mend.Apply })
}

// Examine looks for everything that the catalogue has. Its error is the end of ctx: what a port could
// not tell is in the report.
func Examine(ctx context.Context, o Options) (*Report, error) {
	e := newExaminer(o)
	for _, part := range []func(context.Context){
		e.topics, e.subscriptions, e.queues, e.deadLetters, e.work, e.samples, e.keys, e.alarms, e.rights,
	} {
		part(ctx)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	e.sort()
	return &e.report, nil
}

// Compare looks only at how the worker treats one queue, whose state alone o has to have: whether the
// queue's own attributes fit that.
func Compare(o Options, queue string) []Finding {
	e := newExaminer(o)
	if q := e.state.Queues[queue]; q != nil && q.Known() {
		e.lease(q, o.Work[queue])
		e.receives(q, o.Work[queue])
	}
	e.sort()
	return e.report.Findings
}

func lower(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
