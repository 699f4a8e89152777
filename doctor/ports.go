package doctor

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stationmaster/worker/internal/iampolicy"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// Keys asks KMS about a key, given by its id, its alias or its ARN. The error wraps queue.ErrNotFound
// when there is none, queue.ErrDenied when nobody may look.
type Keys interface {
	Key(ctx context.Context, id string) (Key, error)
}

// Key is what KMS tells about one.
type Key struct {
	ARN   string
	State string // "Enabled", "Disabled", "PendingDeletion" …
	AWS   bool   // AWS manages it, and nobody can change its policy
	// Policy is the key's policy; PolicyErr is that of reading it.
	Policy    string
	PolicyErr error
}

// Alarms asks CloudWatch which alarms watch a metric of a queue, "ApproximateNumberOfMessagesVisible".
type Alarms interface {
	AlarmsOn(ctx context.Context, metric, queue string) ([]Alarm, error)
}

// Alarm is one alarm.
type Alarm struct {
	Name    string
	Enabled bool // its actions are carried out
	Actions int  // when it goes off
}

// Rights tries what the worker's role may do with a queue, without touching a message: to send to it, or
// to settle what it received. It returns the actions that are denied, "sqs:DeleteMessage".
type Rights interface {
	Denied(ctx context.Context, url string, send bool) ([]string, error)
}

// keys looks at the keys of the queues that SNS delivers to.
func (e *examiner) keys(ctx context.Context) {
	var unasked []string
	seen := map[string]bool{}
	for i := range e.lines {
		l := &e.lines[i]
		net := (*topology.QueueState)(nil)
		if l.have != nil {
			net = e.byARN[queue.ReadRedrive(l.have.Attributes[attrRedrive]).Target]
		}
		for _, q := range []*topology.QueueState{l.queue, net} {
			if q == nil || !q.Known() || q.Attributes[attrKey] == "" || awsManaged(q.Attributes[attrKey]) || seen[q.ARN+l.topic.ARN] {
				continue
			}
			seen[q.ARN+l.topic.ARN] = true
			if e.o.Keys == nil {
				unasked = append(unasked, "queue "+q.Name)
				continue
			}
			e.key(ctx, l, q, q == net)
		}
	}
	if len(unasked) > 0 {
		slices.Sort(unasked)
		e.unknown(Unknown{
			Codes: []string{"D-06", "D-07", "D-19"}, Subjects: slices.Compact(unasked), Reason: "KMS is not asked from here",
			Mend: "look at the key's policy, or prove it with --canary",
		})
	}
}

func (e *examiner) key(ctx context.Context, l *line, q *topology.QueueState, net bool) {
	id := q.Attributes[attrKey]
	k, err := e.o.Keys.Key(ctx, id)
	f := Finding{Code: "D-07", Subject: "queue " + q.Name, Queues: l.suffers(), Happens: "SNS takes it, cannot encrypt it for the queue, and " + l.fate()}
	switch {
	case errors.Is(err, queue.ErrNotFound):
		f.Evidence = []string{attrKey + " " + id, "KMS: there is no such key"}
		f.Mend = Mend{Text: "use a key that exists (kms_key) or SQS's own encryption (sse = true)", AWS: []string{setQueue(q.URL, map[string]string{attrSSE: "true"})}}
	case err != nil:
		e.refused(err, "kms:DescribeKey", "key "+id, "D-06", "D-07", "D-19")
		return
	case k.AWS:
		e.ownKey(map[bool]string{true: "D-20", false: "D-05"}[net], l, q)
		return
	case k.State != "Enabled":
		f.Evidence = []string{attrKey + " " + id, "KMS: its state is " + k.State}
		f.Mend = Mend{Text: "enable the key", AWS: []string{"aws kms enable-key --key-id " + quote(k.ARN)}}
		if k.State == "PendingDeletion" {
			f.Mend = Mend{Text: "keep the key, and enable it", AWS: []string{"aws kms cancel-key-deletion --key-id " + quote(k.ARN), "aws kms enable-key --key-id " + quote(k.ARN)}}
		}
	case k.PolicyErr != nil:
		e.refused(k.PolicyErr, "kms:GetKeyPolicy", "key "+id, "D-06", "D-19")
		return
	default:
		e.keyAdmits(l, q, k, net)
		return
	}
	e.find(f)
}

// keyAdmits looks whether the key's policy lets SNS encrypt for the queue.
func (e *examiner) keyAdmits(l *line, q *topology.QueueState, k Key, net bool) {
	code := map[bool]string{true: "D-19", false: "D-06"}[net]
	p, err := iampolicy.Parse(k.Policy)
	if err != nil {
		e.unknown(Unknown{Codes: []string{code}, Subjects: []string{"key " + k.ARN}, Reason: "its policy cannot be read here: " + err.Error()})
		return
	}
	service := principal(l.topic.ARN, q.ARN)
	var evidence []string
	for _, action := range []string{"kms:Decrypt", "kms:GenerateDataKey"} {
		request := delivery(service, l.topic.ARN, k.ARN)
		request.Action = action
		d := p.Authorize(request)
		switch {
		case d.ExplicitDeny, !d.Allowed && len(d.Unknown) == 0:
			evidence = append(evidence, "key "+k.ARN+", policy: "+d.Why)
		case len(d.Unknown) > 0:
			e.unknown(Unknown{Codes: []string{code}, Subjects: []string{"key " + k.ARN}, Reason: "its policy has what is not understood here: " + strings.Join(d.Unknown, ", ")})
			return
		}
	}
	if len(evidence) == 0 {
		return
	}
	statement := compact(map[string]any{
		"Sid": "stationmaster-sns", "Effect": "Allow", "Principal": map[string]string{"Service": service},
		"Action": []string{"kms:Decrypt", "kms:GenerateDataKey*"}, "Resource": "*",
		"Condition": map[string]any{"ArnEquals": map[string]string{"aws:SourceArn": l.topic.ARN}},
	})
	happens := "SNS takes it, cannot encrypt it for the queue, and " + l.fate()
	if net {
		happens = "when it cannot be delivered, it cannot be put there either, and is lost"
	}
	e.find(Finding{
		Code: code, Subject: "queue " + q.Name, Queues: l.suffers(), Evidence: evidence, Happens: happens,
		Mend: Mend{
			Text: "add this statement to the key's policy: " + statement,
			AWS:  []string{"aws kms get-key-policy --key-id " + quote(k.ARN) + " --policy-name default --query Policy --output text > policy.json", "aws kms put-key-policy --key-id " + quote(k.ARN) + " --policy-name default --policy file://policy.json"},
		},
	})
}

// alarms looks whether anybody is called when a dead letter comes.
func (e *examiner) alarms(ctx context.Context) {
	var all []string
	for arn := range maps.Keys(e.caught) {
		all = append(all, arn)
	}
	for arn := range maps.Keys(e.undelivered) {
		all = append(all, arn)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if e.o.Brief || len(all) == 0 {
		return
	}
	u := Unknown{Codes: []string{"Q-11", "Q-12"}, Subjects: []string{strconv.Itoa(len(all)) + " dead-letter queues"}}
	switch {
	case e.o.Local:
		u.Codes = append([]string{"D-22"}, u.Codes...)
		u.Reason = "the endpoint is not AWS, and has no delivery logs and no alarms"
		e.unknown(u)
		return
	case e.o.Alarms == nil:
		u.Reason, u.Mend = "CloudWatch is not asked from here", "look for an alarm on ApproximateNumberOfMessagesVisible of each"
		e.unknown(u)
		return
	}
	for _, arn := range all {
		if q := e.byARN[arn]; q != nil && q.Known() {
			e.alarm(ctx, q)
		}
	}
}

func (e *examiner) alarm(ctx context.Context, q *topology.QueueState) {
	const visible, sent = "ApproximateNumberOfMessagesVisible", "NumberOfMessagesSent"
	metrics := []string{visible}
	if len(e.caught[q.ARN]) == 0 { // SNS sends as anybody does, and that is counted
		metrics = append(metrics, sent)
	}
	var found []Alarm
	for _, metric := range metrics {
		some, err := e.o.Alarms.AlarmsOn(ctx, metric, q.Name)
		if err != nil {
			e.refused(err, "cloudwatch:DescribeAlarms", "queue "+q.Name, "Q-11", "Q-12")
			return
		}
		found = append(found, some...)
	}
	if len(found) == 0 {
		e.find(Finding{
			Code: "Q-11", Subject: "queue " + q.Name, Queues: slices.Clone(e.caught[q.ARN]), Evidence: []string{"no alarm on " + strings.Join(metrics, " or ")},
			Happens: "it lies there until its retention ends, and then is deleted",
			Mend: Mend{Text: "make an alarm", AWS: []string{"aws cloudwatch put-metric-alarm --alarm-name " + quote(q.Name+"-not-empty") + " --namespace AWS/SQS --metric-name " + visible +
				" --dimensions Name=QueueName,Value=" + quote(q.Name) + " --statistic Maximum --period 60 --evaluation-periods 1 --threshold 1 --comparison-operator GreaterThanOrEqualToThreshold --treat-missing-data notBreaching --alarm-actions TOPIC_ARN"}},
		})
		return
	}
	var idle []string
	for _, a := range found {
		if a.Enabled && a.Actions > 0 {
			return
		}
		idle = append(idle, a.Name)
	}
	e.find(Finding{
		Code: "Q-12", Subject: "queue " + q.Name, Queues: slices.Clone(e.caught[q.ARN]), Evidence: []string{"alarm " + strings.Join(idle, ", ") + ": no action, or its actions are off"},
		Happens: "it lies there, and the alarm goes off where nobody looks",
		Mend:    Mend{Text: "give it an action", AWS: []string{"aws cloudwatch enable-alarm-actions --alarm-names " + quote(idle[0])}},
	})
}

// rights tries the worker's permissions.
func (e *examiner) rights(ctx context.Context) {
	if e.o.Brief || len(e.o.Work) == 0 {
		return
	}
	if e.o.Rights == nil {
		e.unknown(Unknown{Codes: []string{"Q-27"}, Subjects: []string{"the worker's role"}, Reason: "nobody has tried what the worker may do", Mend: "ask with the worker's credentials and --permissions"})
		return
	}
	for _, name := range slices.Sorted(maps.Keys(e.o.Work)) {
		q := e.state.Queues[name]
		if q == nil || q.URL == "" {
			continue
		}
		e.tried(ctx, q, name, false, settles)
		if dlq := e.byARN[queue.ReadRedrive(q.Attributes[attrRedrive]).Target]; dlq != nil && dlq.URL != "" {
			e.tried(ctx, dlq, name, true, settles)
		}
	}
	for _, wanted := range e.o.Topology.Queues {
		if q := e.state.Queues[wanted.Name]; wanted.Scheduled && q != nil && q.URL != "" {
			e.tried(ctx, q, q.Name, true, "what its schedules publish is not sent: each tick is missed")
		}
	}
}

// settles is what happens where a message cannot be settled.
const settles = "it is handled twice, or comes again until it is a dead letter"

func (e *examiner) tried(ctx context.Context, q *topology.QueueState, victim string, send bool, happens string) {
	denied, err := e.o.Rights.Denied(ctx, q.URL, send)
	if err != nil {
		e.refused(err, "trying the permissions", "queue "+q.Name, "Q-27")
		return
	}
	if len(denied) > 0 {
		e.find(Finding{
			Code: "Q-27", Subject: "queue " + q.Name, Queues: []string{victim}, Evidence: []string{"denied: " + strings.Join(denied, ", ")},
			Happens: happens,
			Mend:    Mend{Text: "allow them to the worker's role; all that it needs: worker iam worker"},
		})
	}
}
