package doctor

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// examiner is one run of Examine.
type examiner struct {
	o      Options
	state  *topology.State
	report Report

	byARN  map[string]*topology.QueueState
	wanted map[string]topology.Queue // declared, by name
	topic  map[string]topology.Topic
	lines  []line
	// caught are the declared queues whose messages a dead-letter queue catches, by its ARN: of queues
	// by their redrive policies, of subscriptions by theirs.
	caught, undelivered map[string][]string
	dead                map[string]bool // queues that are declared to be for dead letters
	spoken              map[string]bool // name and attribute that a finding speaks of
}

// line is one way of a message: a topic, a subscription and a queue or another endpoint.
type line struct {
	name  string
	want  topology.Subscription
	topic *topology.TopicState
	have  *topology.SubscriptionState // nil: there is none, or nobody may list them
	// protocol and endpoint are as SNS spells them; queue is nil for any other protocol than sqs.
	protocol, endpoint string
	queue              *topology.QueueState
	net                *topology.QueueState // where goes what cannot be delivered; nil: nowhere that was read
}

// suffers are the declared queues of the line.
func (l *line) suffers() []string {
	if l.queue == nil || l.want.Queue == "" || strings.HasPrefix(l.want.Queue, "arn:") && l.queue.URL == "" {
		return nil
	}
	return []string{l.queue.Name}
}

func newExaminer(o Options) *examiner {
	e := &examiner{
		o: o, state: o.State,
		byARN: map[string]*topology.QueueState{}, wanted: map[string]topology.Queue{}, topic: map[string]topology.Topic{},
		caught: map[string][]string{}, undelivered: map[string][]string{},
		dead: map[string]bool{}, spoken: map[string]bool{},
	}
	for _, q := range e.state.Others {
		e.byARN[q.ARN] = q
	}
	for _, q := range e.state.Queues {
		e.byARN[q.ARN] = q
	}
	for _, q := range o.Topology.Queues {
		e.wanted[q.Name] = q
	}
	for _, t := range o.Topology.Topics {
		e.topic[t.Name] = t
	}
	for _, s := range o.Topology.Subscriptions {
		if l, ok := e.lineOf(s); ok {
			e.lines = append(e.lines, l)
		}
	}
	e.note()
	e.report.Topics, e.report.Subscriptions = len(e.state.Topics), len(o.Topology.Subscriptions)
	for _, q := range e.state.Queues {
		if e.catches(q) {
			e.report.DeadLetterQueues++
		} else {
			e.report.Queues++
		}
	}
	return e
}

// lineOf finds both ends of a declared subscription.
func (e *examiner) lineOf(s topology.Subscription) (line, bool) {
	t := e.state.Topics[s.Topic]
	if t == nil {
		return line{}, false
	}
	l := line{want: s, topic: t, protocol: cmp.Or(s.Protocol, "sqs"), endpoint: topology.Shown(s.Endpoint)}
	if l.protocol == "sqs" {
		l.endpoint = s.Queue
		if q := e.state.Queues[s.Queue]; q != nil {
			l.endpoint = q.ARN
		}
		l.queue = e.byARN[l.endpoint]
	}
	l.name = s.Topic + " → " + l.endpoint
	if strings.HasPrefix(l.endpoint, "arn:") {
		l.name = s.Topic + " → " + awsarn.Name(l.endpoint)
	}
	if l.have = t.Find(l.protocol, l.endpoint); l.have != nil {
		l.net = e.byARN[queue.ReadRedrive(l.have.Attributes[attrRedrive]).Target]
	}
	return l, true
}

// note notes which queue catches whose dead letters.
func (e *examiner) note() {
	for name := range e.state.Queues {
		_, declared := e.wanted[name]
		e.dead[name] = !declared
	}
	for _, q := range e.o.Topology.Queues {
		e.dead[q.DLQ] = true
	}
	for _, s := range e.o.Topology.Subscriptions {
		e.dead[s.DLQ] = true
	}
	for _, name := range slices.Sorted(maps.Keys(e.state.Queues)) {
		if q := e.state.Queues[name]; q.Known() {
			if to := queue.ReadRedrive(q.Attributes[attrRedrive]).Target; to != "" {
				e.caught[to] = append(e.caught[to], q.Name)
			}
		}
	}
	for _, l := range e.lines {
		if l.have != nil {
			if to := queue.ReadRedrive(l.have.Attributes[attrRedrive]).Target; to != "" {
				e.undelivered[to] = append(e.undelivered[to], l.name)
			}
		}
	}
}

// find adds a finding; the catalogue says the rest.
func (e *examiner) find(f Finding) {
	c, ok := Explain(f.Code)
	if !ok {
		return // a test checks that each code is in the catalogue
	}
	f.Severity, f.Title = c.Severity, c.Title
	if f.Queues = slices.Compact(slices.Sorted(slices.Values(f.Queues))); len(f.Queues) == 0 {
		f.Queues = nil
	}
	if e.o.Endpoint != "" {
		f.Mend.AWS = slices.Clone(f.Mend.AWS)
		for i, command := range f.Mend.AWS { // version 1 of the CLI takes AWS_ENDPOINT_URL for SNS and not for SQS
			f.Mend.AWS[i] = "aws --endpoint-url " + quote(e.o.Endpoint) + strings.TrimPrefix(command, "aws")
		}
	}
	e.report.Findings = append(e.report.Findings, f)
}

// unknown adds what could not be looked at, to what is unknown for the same reason.
func (e *examiner) unknown(u Unknown) {
	for i := range e.report.Unknown {
		if have := &e.report.Unknown[i]; have.Reason == u.Reason && have.Mend == u.Mend && slices.Equal(have.Codes, u.Codes) {
			have.Subjects = append(have.Subjects, u.Subjects...)
			return
		}
	}
	e.report.Unknown = append(e.report.Unknown, u)
}

// refused adds what AWS did not answer. The permission is what would make it.
func (e *examiner) refused(err error, permission, subject string, codes ...string) {
	u := Unknown{Codes: codes, Subjects: []string{subject}, Refused: true}
	switch {
	case errors.Is(err, queue.ErrDenied):
		u.Reason, u.Mend = permission+" is denied", "allow "+permission+" to whoever asks"
	case errors.Is(err, queue.ErrThrottled):
		u.Reason, u.Mend = permission+" was throttled", "ask again in a moment"
	case err == nil:
		u.Reason, u.Mend = permission+" was not asked", "ask again"
	default:
		u.Reason, u.Mend = permission+": "+err.Error(), "ask again"
	}
	e.unknown(u)
}

func (e *examiner) sort() {
	rank := func(s Severity) int { return slices.Index(Severities(), s) }
	slices.SortStableFunc(e.report.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(rank(a.Severity), rank(b.Severity)), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Subject, b.Subject))
	})
	for i := range e.report.Unknown {
		slices.Sort(e.report.Unknown[i].Subjects)
	}
}

// elsewhere tells whether a queue or topic is in another region, where this one's SQS cannot look.
func (e *examiner) elsewhere(arn string) bool {
	return awsarn.Parse(arn).Region != e.state.Account.Region
}

// foreign tells whether a queue or topic is another account's: AWS answers that it does not exist to
// whoever may not look.
func (e *examiner) foreign(arn string) bool { return awsarn.Parse(arn).Account != e.state.Account.ID }

// catches tells whether a queue is for dead letters, as it is declared or as something that is there
// has it.
func (e *examiner) catches(q *topology.QueueState) bool {
	return len(e.caught[q.ARN])+len(e.undelivered[q.ARN]) > 0 || e.dead[q.Name]
}

// managed returns the queue as declared, when it is ours to change.
func (e *examiner) managed(name string) (topology.Queue, bool) {
	q, ok := e.wanted[name]
	return q, ok && !q.Unmanaged
}

// ours tells whether apply changes a queue: it is declared without manage = false, or a dead-letter
// queue that follows from the declaration.
func (e *examiner) ours(name string) bool {
	q, declared := e.wanted[name]
	_, known := e.state.Queues[name]
	return known && (!declared || !q.Unmanaged)
}
