package doctor

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/internal/iampolicy"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// sendAction is what SNS does to a queue.
const sendAction = "sqs:SendMessage"

// principal is who SNS is to a queue.
func principal(topicARN, queueARN string) string {
	return iampolicy.SNSFrom(awsarn.Parse(topicARN).Region, awsarn.Parse(queueARN).Region)
}

// delivery is SNS's request to put a message of a topic into a queue.
func delivery(service, topicARN, queueARN string) iampolicy.Request {
	return iampolicy.Delivery(service, topicARN, awsarn.Parse(topicARN).Account, queueARN, time.Now())
}

// verdict is what a queue's policy says to the deliveries of a topic.
type verdict struct {
	code, why string // no code: they are let in
	unknown   string // nobody here can tell, and why
}

// judge asks the policy of a queue whether a topic may send there, and if not, what it is that is wrong.
func judge(policy, topicARN, queueARN string) verdict {
	p, err := iampolicy.Parse(policy)
	if err != nil {
		return verdict{unknown: "its policy cannot be read here: " + err.Error()}
	}
	service := principal(topicARN, queueARN)
	d := p.Authorize(delivery(service, topicARN, queueARN))
	switch {
	case d.ExplicitDeny:
		return verdict{code: "D-03", why: d.Why}
	case len(d.Unknown) > 0:
		return verdict{unknown: "its policy has what is not understood here: " + strings.Join(d.Unknown, ", ")}
	case d.Allowed:
		return verdict{}
	case service != iampolicy.SNS && p.Authorize(delivery(iampolicy.SNS, topicARN, queueARN)).Allowed:
		return verdict{code: "D-04", why: "the policy names " + iampolicy.SNS + ", and SNS comes as " + service}
	}
	if bare, err := iampolicy.Parse(unconditional(policy)); err == nil && bare.Authorize(delivery(service, topicARN, queueARN)).Allowed {
		return verdict{code: "D-02", why: d.Why}
	}
	if policy == "" {
		return verdict{code: "D-01", why: "the queue has no policy"}
	}
	return verdict{code: "D-01", why: d.Why}
}

// statements reads a policy's statements, as they are written, and hands them to change. One alone may
// stand without a list.
func statements(policy string, change func(statement map[string]any)) string {
	var document map[string]any
	if json.Unmarshal([]byte(policy), &document) != nil {
		return policy
	}
	all, ok := document["Statement"].([]any)
	if !ok {
		all = []any{document["Statement"]}
	}
	for _, one := range all {
		if s, ok := one.(map[string]any); ok {
			change(s)
		}
	}
	return compact(document)
}

// unconditional is the policy without the conditions of what it allows.
func unconditional(policy string) string {
	return statements(policy, func(s map[string]any) {
		if s["Effect"] == "Allow" {
			delete(s, "Condition")
		}
	})
}

// exempted is the policy with services exempted from each deny that hits the topic's deliveries.
func exempted(policy, topicARN, queueARN string) string {
	return statements(policy, func(s map[string]any) {
		alone, err := iampolicy.Parse(compact(map[string]any{"Version": "2012-10-17", "Statement": []any{s}}))
		if err != nil || !alone.Evaluate(delivery(principal(topicARN, queueARN), topicARN, queueARN)).ExplicitDeny {
			return
		}
		condition, _ := s["Condition"].(map[string]any)
		if condition == nil {
			condition = map[string]any{}
		}
		is, _ := condition["Bool"].(map[string]any)
		if is == nil {
			is = map[string]any{}
		}
		is["aws:PrincipalIsAWSService"] = "false"
		condition["Bool"], s["Condition"] = is, condition
	})
}

// admitted is the policy with a statement that lets the topic in, and that statement by itself. Merging
// adds the topic to what a statement of ours says already.
func admitted(policy, topicARN, queueARN string) (whole, statement string) {
	s := iampolicy.Admission(queueARN, topicARN)[0]
	whole, _, err := iampolicy.Merge(policy, s)
	if err != nil {
		return "", compact(s)
	}
	return whole, compact(s)
}

// admitAll is a queue's policy with statements for all topics that lead there and are kept out: each command
// sets all of it, and the last one must not take away what the one before has let in. "" when there is no
// room.
func (e *examiner) admitAll(policy string, q *topology.QueueState) string {
	for i := range e.lines {
		l := &e.lines[i]
		if leads := l.queue == q || l.net == q || l.want.DLQ == q.Name; !leads || judge(policy, l.topic.ARN, q.ARN).code == "" {
			continue
		}
		if policy, _ = admitted(policy, l.topic.ARN, q.ARN); policy == "" {
			return ""
		}
	}
	return policy
}

// admission tells what lets a topic into a queue.
func (e *examiner) admission(v verdict, topicARN string, q *topology.QueueState) Mend {
	policy := q.Attributes[attrPolicy]
	if v.code == "D-03" {
		policy = exempted(policy, topicARN, q.ARN)
		if whole := e.admitAll(policy, q); whole != "" {
			policy = whole
		}
		return Mend{
			Text: "exempt services from that statement: Bool aws:PrincipalIsAWSService false",
			AWS:  []string{setQueue(q.URL, map[string]string{attrPolicy: policy})},
		}
	}
	_, statement := admitted(policy, topicARN, q.ARN)
	whole := e.admitAll(policy, q)
	m := Mend{Text: "let the topic in"}
	if m.Apply = e.ours(q.Name); !m.Apply {
		m.Text = "its owner has to add this statement to its policy: " + statement
	}
	if whole == "" {
		m.Text += fmt.Sprintf("; there is no room for it: see %s", "Q-26")
		return m
	}
	m.AWS = []string{setQueue(q.URL, map[string]string{attrPolicy: whole})}
	return m
}

// entrance looks whether a line's queue is there and lets the topic in.
func (e *examiner) entrance(l *line) {
	q := l.queue
	switch {
	case q == nil: // not sqs, or a queue that nobody has looked for
	case q.Known():
		e.admits(l, q)
	case e.elsewhere(q.ARN):
		e.unknown(Unknown{
			Codes: []string{"D-01", "D-02", "D-03", "D-04", "D-05", "D-10"}, Subjects: []string{"queue " + q.Name},
			Reason: "it is in " + awsarn.Parse(q.ARN).Region + ", and SQS of another region does not tell", Mend: "ask there, with AWS_REGION",
		})
	case q.Missing() && e.foreign(q.ARN):
		e.unknown(Unknown{
			Codes: []string{"D-01", "D-02", "D-03", "D-04", "D-05", "D-10"}, Subjects: []string{"queue " + q.Name},
			Reason: "it is in account " + awsarn.Parse(q.ARN).Account + ", which does not tell whether it is there",
			Mend:   "ask there, or let it allow sqs:GetQueueUrl and sqs:GetQueueAttributes to account " + e.state.Account.ID,
		})
	case q.Missing():
		if l.have != nil {
			e.noQueue(l)
		}
	default: // the queue's own checks say that they are unknown
	}
}

func (e *examiner) admits(l *line, q *topology.QueueState) {
	v := judge(q.Attributes[attrPolicy], l.topic.ARN, q.ARN)
	switch {
	case v.unknown != "":
		e.unknown(Unknown{
			Codes: []string{"D-01", "D-02", "D-03", "D-04"}, Subjects: []string{l.name}, Reason: v.unknown,
			Mend: "prove it with --canary, or by a message",
		})
	case v.code != "":
		e.find(Finding{
			Code: v.code, Subject: "subscription " + l.name, Queues: l.suffers(), Evidence: []string{"queue " + q.Name + ", Policy: " + v.why},
			Happens: "SNS takes it, is refused by the queue, does not try again, and " + l.fate(),
			Mend:    e.admission(v, l.topic.ARN, q),
		})
	}
	if q.Attributes[attrKey] != "" && awsManaged(q.Attributes[attrKey]) {
		e.ownKey("D-05", l, q)
	}
}

// fate is what becomes of a message that cannot be delivered.
func (l *line) fate() string {
	to := ""
	if l.have != nil {
		to = queue.ReadRedrive(l.have.Attributes[attrRedrive]).Target
	}
	switch name := awsarn.Name(to); {
	case to == "":
		return "throws it away; nobody sees an error"
	case l.net == nil || !l.net.Known() && !l.net.Missing():
		return "puts it into " + name + ", if that works"
	case l.net.Missing():
		return "throws it away, since its dead-letter queue " + name + " is not there; nobody sees an error"
	case judge(l.net.Attributes[attrPolicy], l.topic.ARN, to).code != "":
		return "throws it away, since its dead-letter queue " + name + " refuses it too; nobody sees an error"
	default:
		return "puts it into its dead-letter queue " + name + ", where it waits"
	}
}

func (e *examiner) noQueue(l *line) {
	f := Finding{
		Code: "D-10", Subject: "subscription " + l.name, Queues: l.suffers(),
		Evidence: []string{"Endpoint " + l.endpoint, "SQS: there is no such queue"},
		Happens:  "SNS takes it, cannot deliver it, does not try again, and " + l.fate(),
		Mend:     Mend{Apply: e.ours(l.queue.Name), Text: "create the queue, its policy and its dead-letter queue"},
	}
	if !f.Mend.Apply {
		f.Mend = Mend{Text: "ask its owner, or correct its name or arn, or unsubscribe", AWS: []string{"aws sns unsubscribe --subscription-arn " + quote(l.have.ARN)}}
	} else {
		f.Mend.AWS = []string{e.createQueue(l.queue)}
	}
	e.find(f)
}

// createQueue is the plain command that makes a queue as it is declared: with what only its creation can
// say, and with the policy without which the subscriptions that lead there would lose messages.
func (e *examiner) createQueue(q *topology.QueueState) string {
	set, policy, want := map[string]string{}, e.admitAll("", q), e.wanted[q.Name]
	if dlq := e.state.Queues[want.DLQ]; dlq != nil && !dlq.Missing() {
		set[attrRedrive] = compact(map[string]any{"deadLetterTargetArn": dlq.ARN, "maxReceiveCount": want.MaxReceiveCount})
	}
	if isFIFO(q.Name) {
		set["FifoQueue"] = "true"
	}
	if e.dead[q.Name] && want.Retention == 0 {
		want.Retention = dlqRetention
	}
	for name, value := range map[string]string{attrPolicy: policy, attrRetention: wholeSeconds(want.Retention), attrVisibility: wholeSeconds(want.Visibility)} {
		if value != "" {
			set[name] = value
		}
	}
	command := "aws sqs create-queue --queue-name " + quote(q.Name)
	if len(set) > 0 {
		command += " --attributes " + quote(compact(set))
	}
	return command
}

// awsManaged tells whether a key is the one that AWS keeps for SQS, as far as its name says.
func awsManaged(key string) bool {
	return key == "alias/aws/sqs" || strings.HasSuffix(key, ":alias/aws/sqs")
}

func (e *examiner) ownKey(code string, l *line, q *topology.QueueState) {
	happens := "SNS takes it, cannot encrypt it for the queue, and " + l.fate()
	if code == "D-20" {
		happens = "when it cannot be delivered, it cannot be put there either, and is lost"
	}
	e.find(Finding{
		Code: code, Subject: "queue " + q.Name, Queues: l.suffers(), Evidence: []string{attrKey + " " + q.Attributes[attrKey]}, Happens: happens,
		Mend: Mend{
			Text: "use a key of your own (kms_key) or SQS's own encryption (sse = true)",
			AWS:  []string{setQueue(q.URL, map[string]string{attrSSE: "true"})},
		},
	})
}
