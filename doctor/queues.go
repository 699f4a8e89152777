package doctor

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/internal/iampolicy"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// queues looks at each queue by itself, dead-letter queues included.
func (e *examiner) queues(context.Context) {
	for _, name := range slices.Sorted(maps.Keys(e.state.Queues)) {
		q := e.state.Queues[name]
		switch {
		case e.elsewhere(q.ARN) && !q.Known():
			e.otherRegion(q)
		case q.Missing():
			e.missing(q)
		case !q.Known():
			e.refused(q.Err, "sqs:GetQueueAttributes", "queue "+name, readCodes()...)
		default:
			e.settings(q)
			e.policy(q)
		}
	}
}

// readCodes are the checks that a queue's attributes would have answered.
func readCodes() (codes []string) {
	for _, c := range catalogue() {
		if slices.Contains(c.How, "read") && (strings.HasPrefix(c.Code, "Q-") || slices.Contains([]string{"D-01", "D-02", "D-03", "D-04", "D-05", "D-26"}, c.Code)) {
			codes = append(codes, c.Code)
		}
	}
	return codes
}

func (e *examiner) otherRegion(q *topology.QueueState) {
	if _, polled := e.o.Work[q.Name]; !polled {
		return // the line that leads there says that it is unknown
	}
	e.find(Finding{
		Code: "Q-32", Subject: "queue " + q.Name, Queues: []string{q.Name},
		Evidence: []string{q.ARN + ", and the worker is in " + e.state.Account.Region},
		Happens:  "it stays in the queue: the worker asks its own region, which has none of that name",
		Mend:     Mend{Text: "run a worker for it there (AWS_REGION=" + awsarn.Parse(q.ARN).Region + "), or correct its url or arn"},
	})
}

// missing tells of a queue that is declared and not there. That a subscription or a redrive policy leads
// to it, others say.
func (e *examiner) missing(q *topology.QueueState) {
	want, declared := e.wanted[q.Name]
	_, polled := e.o.Work[q.Name]
	if !declared || e.catches(q) && !polled {
		return
	}
	for _, l := range e.lines {
		if l.queue == q && l.have != nil {
			return // D-10 says it
		}
	}
	f := Finding{
		Code: "Q-35", Subject: "queue " + q.Name, Queues: []string{q.Name}, Evidence: []string{"SQS: there is no queue " + q.ARN},
		Happens: "whoever sends it gets an error; nothing is received",
		Mend:    Mend{Apply: true, Text: "create it", AWS: []string{e.createQueue(q)}},
	}
	if e.foreign(q.ARN) {
		f.Evidence = append(f.Evidence, "or its account lets this one not look, and then the worker cannot receive either")
	}
	if want.Unmanaged {
		f.Mend = Mend{Text: "it is somebody else's (manage = false): ask its owner, or correct its name, url or arn"}
	}
	e.find(f)
}

// settings looks at the attributes of a queue that say something by themselves.
func (e *examiner) settings(q *topology.QueueState) {
	want, declared := e.wanted[q.Name]
	have := q.Attributes
	catches := e.catches(q)
	if delay, _ := seconds(have, attrDelay); delay != 0 && have[attrDelay] != want.Attributes[attrDelay] && declared {
		e.tell(q, "Q-17", attrDelay, "it stays hidden for "+human(delay)+" after it was sent", "set it to "+or(want.Attributes[attrDelay], "0"), or(want.Attributes[attrDelay], "0"))
	}
	if size, ok := number(have, attrMaxSize); ok && size < topicSize && want.Attributes[attrMaxSize] != have[attrMaxSize] {
		e.tell(q, "Q-18", attrMaxSize, "when it is larger than "+bytes(size)+", it is refused", "let the queue take 1 MiB", or(want.Attributes[attrMaxSize], strconv.Itoa(queueSize)))
	}
	if have[attrSSE] == "false" && have[attrKey] == "" && want.Attributes[attrSSE] != "false" {
		e.tell(q, "Q-23", attrSSE, "it lies on AWS's disks as it is", "switch SQS's own encryption on (sse = true)", "true")
	}
	const day = 24 * time.Hour
	if kept, ok := seconds(have, attrRetention); ok && kept < day && !catches {
		e.tell(q, "Q-13", attrRetention, "when it cannot be handled for "+human(kept)+", it is deleted; nobody is told", "keep messages for longer (retention)",
			or(wholeSeconds(want.Retention), "345600"))
	}
	const cap, near = 120_000, 96_000
	if n, _ := number(have, "ApproximateNumberOfMessagesNotVisible"); n >= near {
		e.find(Finding{
			Code: "Q-16", Subject: "queue " + q.Name, Queues: []string{q.Name},
			Evidence: []string{"ApproximateNumberOfMessagesNotVisible " + strconv.Itoa(n) + " of " + strconv.Itoa(cap)},
			Happens:  "it stays in the queue: receives answer nothing, without an error",
			Mend:     Mend{Text: "look for what receives and never deletes; lower slots and prefetch, or shorten visibility_timeout"},
		})
	}
	if catches && !e.polled(q) {
		return
	}
	if queue.ReadRedrive(have[attrRedrive]).Target == "" {
		e.noDLQ(q)
	}
}

func (e *examiner) polled(q *topology.QueueState) bool { _, ok := e.o.Work[q.Name]; return ok }

// tell adds a finding about one attribute, which the value to mends.
func (e *examiner) tell(q *topology.QueueState, code, name, happens, text, to string) {
	want := e.wanted[q.Name].Attributes[name]
	if name == attrRetention {
		want = wholeSeconds(e.wanted[q.Name].Retention)
	}
	evidence := name + " " + q.Attributes[name]
	if want != "" && want != q.Attributes[name] {
		evidence += ", declared " + want
	}
	e.find(Finding{
		Code: code, Subject: "queue " + q.Name, Queues: []string{q.Name}, Evidence: []string{evidence}, Happens: happens,
		Mend: Mend{Apply: e.ours(q.Name) && want != "" && want != q.Attributes[name], Text: text, AWS: []string{setQueue(q.URL, map[string]string{name: to})}},
	})
	e.speakOf(q.Name, name)
}

func wholeSeconds(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return strconv.FormatInt(int64(d/time.Second), 10)
}

func (e *examiner) noDLQ(q *topology.QueueState) {
	want, declared := e.wanted[q.Name]
	f := Finding{
		Code: "Q-01", Subject: "queue " + q.Name, Queues: []string{q.Name}, Evidence: []string{"there is no " + attrRedrive},
		Happens: "when nobody can handle it, it comes again and again, and is deleted when its retention ends",
		Mend:    Mend{Text: "declare a dead-letter queue for it, without dlq = false"},
	}
	switch {
	case !declared || want.Unmanaged:
		f.Mend.Text = "its owner has to give it a dead-letter queue"
	case want.DLQ != "":
		f.Mend = Mend{Apply: true, Text: "create " + want.DLQ + " and name it in the RedrivePolicy"}
		if dlq := e.state.Queues[want.DLQ]; dlq != nil {
			f.Mend.AWS = []string{setQueue(q.URL, map[string]string{attrRedrive: compact(map[string]any{"deadLetterTargetArn": dlq.ARN, "maxReceiveCount": want.MaxReceiveCount})})}
		}
	default:
		f.Evidence = append(f.Evidence, "declared so: dlq = false")
	}
	e.find(f)
	e.speakOf(q.Name, attrRedrive)
}

// policy looks at what the queue's policy says beside what topics need.
func (e *examiner) policy(q *topology.QueueState) {
	text := q.Attributes[attrPolicy]
	if text == "" {
		return
	}
	n := 0
	_ = statements(text, func(map[string]any) { n++ })
	if nearly := func(n, most int) bool { return n*10 >= most*9 }; nearly(len(text), iampolicy.MaxBytes) || nearly(n, iampolicy.MaxStatements) {
		e.find(Finding{
			Code: "Q-26", Subject: "queue " + q.Name, Queues: []string{q.Name},
			Evidence: []string{"Policy: " + strconv.Itoa(len(text)) + " of " + strconv.Itoa(iampolicy.MaxBytes) + " bytes, " + strconv.Itoa(n) + " of " + strconv.Itoa(iampolicy.MaxStatements) + " statements"},
			Happens:  "nothing yet; the next topic cannot be let in",
			Mend:     Mend{Text: "merge statements of others, or let all topics of the account in by aws:SourceAccount", AWS: []string{"aws sqs get-queue-attributes --queue-url " + quote(q.URL) + " --attribute-names Policy"}},
		})
	}
	p, err := iampolicy.Parse(text)
	if err != nil {
		return // who asks whether a topic may send says that it cannot be read
	}
	d := p.Evaluate(iampolicy.Request{Action: sendAction, Resource: q.ARN, Time: time.Now(), Context: map[string][]string{"aws:SecureTransport": {"true"}}})
	if d.Allowed {
		e.find(Finding{
			Code: "Q-25", Subject: "queue " + q.Name, Queues: []string{q.Name}, Evidence: []string{"Policy: " + d.Why},
			Happens: "it may come from anybody",
			Mend:    Mend{Text: "name who may send in its Principal, or add a condition on aws:SourceArn", AWS: []string{"aws sqs get-queue-attributes --queue-url " + quote(q.URL) + " --attribute-names Policy"}},
		})
	}
}
