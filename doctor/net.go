package doctor

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// net looks at the dead-letter queue of a subscription: where goes what cannot be delivered.
func (e *examiner) net(l *line) {
	to := queue.ReadRedrive(l.have.Attributes[attrRedrive]).Target
	if to == "" {
		e.noNet(l)
		return
	}
	q := e.byARN[to]
	if why := e.unfit(l, to, q); why != "" {
		e.find(Finding{
			Code: "D-18", Subject: "subscription " + l.name, Queues: l.suffers(), Evidence: []string{attrRedrive + " names " + to, why},
			Happens: "when it cannot be delivered, SNS cannot put it there either, and it is lost; nobody sees an error",
			Mend:    e.newNet(l),
		})
		e.speakOf(l.name, attrRedrive)
		return
	}
	switch {
	case q == nil: // a brief look, or nobody may say what it is
	case !q.Known():
		e.refused(q.Err, "sqs:GetQueueAttributes", "queue "+q.Name, "D-18", "D-19", "D-20")
	default:
		e.netAdmits(l, q)
	}
}

// newNet is what gives a subscription the dead-letter queue that is declared.
func (e *examiner) newNet(l *line) Mend {
	if l.want.DLQ == "" {
		return Mend{Text: "declare a dead-letter queue for the subscription, without dlq = false"}
	}
	m := Mend{Apply: true, Text: "create " + l.want.DLQ + ", let the topic in, and name it in the subscription"}
	if q := e.state.Queues[l.want.DLQ]; q != nil {
		if q.Missing() {
			m.AWS = append(m.AWS, e.createQueue(q))
		}
		m.AWS = append(m.AWS, setSubscription(l.have.ARN, attrRedrive, compact(map[string]string{"deadLetterTargetArn": q.ARN})))
	}
	return m
}

func (e *examiner) noNet(l *line) {
	f := Finding{
		Code: "D-17", Subject: "subscription " + l.name, Queues: l.suffers(), Evidence: []string{"there is no " + attrRedrive},
		Happens: "when it cannot be delivered, it is thrown away; nobody sees an error", Mend: e.newNet(l),
	}
	if l.want.DLQ == "" {
		f.Evidence = append(f.Evidence, "declared so: dlq = false")
	}
	e.find(f)
}

// unfit tells why a queue cannot be a subscription's dead-letter queue; "" when it can. A subscription is of
// the account that has subscribed (Owner), and its ARN is like that of its topic.
func (e *examiner) unfit(l *line, to string, q *topology.QueueState) string {
	owner := cmp.Or(l.have.Attributes["Owner"], awsarn.Parse(l.have.ARN).Account)
	switch {
	case awsarn.Parse(to).Account != owner:
		return "it is in account " + awsarn.Parse(to).Account + ", the subscription in " + owner
	case awsarn.Parse(to).Region != awsarn.Parse(l.have.ARN).Region:
		return "it is in " + awsarn.Parse(to).Region + ", the subscription in " + awsarn.Parse(l.have.ARN).Region
	case l.protocol == "sqs" && isFIFO(to) != isFIFO(l.endpoint):
		return "it is a " + kind(isFIFO(to)) + " queue, and the deliveries are for a " + kind(isFIFO(l.endpoint)) + " one"
	case q != nil && q.Missing():
		return "SQS: there is no such queue"
	}
	return ""
}

func (e *examiner) netAdmits(l *line, q *topology.QueueState) {
	v := judge(q.Attributes[attrPolicy], l.topic.ARN, q.ARN)
	switch {
	case v.unknown != "":
		e.unknown(Unknown{Codes: []string{"D-19"}, Subjects: []string{"queue " + q.Name}, Reason: v.unknown, Mend: "prove it with a message that cannot be delivered"})
	case v.code != "":
		e.find(Finding{
			Code: "D-19", Subject: "subscription " + l.name, Queues: l.suffers(), Evidence: []string{"queue " + q.Name + ", Policy: " + v.why},
			Happens: "when it cannot be delivered, SNS is refused there too, and it is lost; nobody sees an error",
			Mend:    e.admission(v, l.topic.ARN, q),
		})
	}
	if awsManaged(q.Attributes[attrKey]) {
		e.ownKey("D-20", l, q)
	}
}

// mixed looks for queues that catch what could not be delivered and what could not be handled.
func (e *examiner) mixed() {
	for _, arn := range slices.Sorted(maps.Keys(e.undelivered)) {
		sources := slices.Clone(e.caught[arn])
		if q := e.byARN[arn]; q != nil {
			for _, url := range q.Sources {
				sources = append(sources, url[strings.LastIndexByte(url, '/')+1:])
			}
		}
		if len(sources) == 0 {
			continue
		}
		slices.Sort(sources)
		e.find(Finding{
			Code: "D-27", Subject: "queue " + awsarn.Name(arn),
			Evidence: []string{
				"dead-letter queue of queue " + strings.Join(slices.Compact(sources), ", "),
				"and of subscription " + strings.Join(e.undelivered[arn], ", "),
			},
			Happens: "it lies among others that failed in another way, and SQS's own redrive refuses it",
			Mend:    Mend{Apply: true, Text: "give each subscription a dead-letter queue of its own, as is declared when nothing is said"},
		})
	}
}
