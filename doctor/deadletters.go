package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// deadLetters looks at where each queue's messages go that nobody can handle.
func (e *examiner) deadLetters(context.Context) {
	for _, name := range slices.Sorted(maps.Keys(e.state.Queues)) {
		q := e.state.Queues[name]
		if !q.Known() {
			continue
		}
		if p := queue.ReadRedrive(q.Attributes[attrRedrive]); p.Target != "" {
			e.target(q, p)
		}
		if e.catches(q) {
			e.keeps(q)
			e.moves(q)
		}
	}
}

// target looks at the dead-letter queue that a redrive policy names.
func (e *examiner) target(q *topology.QueueState, p queue.Redrive) {
	dlq := e.byARN[p.Target]
	f := Finding{Subject: "queue " + q.Name, Queues: []string{q.Name}, Mend: e.newDLQ(q)}
	switch {
	case awsarn.Parse(p.Target).Account != awsarn.Parse(q.ARN).Account, awsarn.Parse(p.Target).Region != awsarn.Parse(q.ARN).Region, isFIFO(p.Target) != isFIFO(q.ARN):
		f.Code, f.Evidence = "Q-08", []string{attrRedrive + " names " + p.Target, "the queue is " + q.ARN}
		f.Happens = "when nobody can handle it, it cannot be moved; it comes again and again until its retention ends, and is deleted"
	case dlq != nil && dlq.Missing():
		f.Code, f.Evidence = "Q-07", []string{attrRedrive + " names " + p.Target, "SQS: there is no such queue"}
		f.Happens = "when nobody can handle it, it is not moved; it comes again and again until its retention ends, and is deleted"
	case dlq == nil: // a brief look
		return
	case !dlq.Known():
		if _, declared := e.state.Queues[dlq.Name]; !declared {
			e.refused(dlq.Err, "sqs:GetQueueAttributes", "queue "+dlq.Name, "Q-06", "Q-07", "Q-09", "Q-10")
		}
		return
	default:
		e.outlives(q, dlq)
		e.takes(q, dlq)
		return
	}
	e.speakOf(q.Name, attrRedrive)
	e.find(f)
}

// newDLQ is what gives a queue the dead-letter queue that is declared.
func (e *examiner) newDLQ(q *topology.QueueState) Mend {
	want, ours := e.managed(q.Name)
	dlq := e.state.Queues[want.DLQ]
	if !ours || dlq == nil {
		return Mend{Text: "its owner has to create the dead-letter queue, or to name another"}
	}
	m := Mend{Apply: true, Text: "create " + want.DLQ + " and name it in the RedrivePolicy"}
	if dlq.Missing() {
		m.AWS = append(m.AWS, e.createQueue(dlq))
	}
	policy := compact(map[string]any{"deadLetterTargetArn": dlq.ARN, "maxReceiveCount": want.MaxReceiveCount})
	m.AWS = append(m.AWS, setQueue(q.URL, map[string]string{attrRedrive: policy}))
	return m
}

// dlqRetention is the longest that SQS keeps a message, and for how long a dead-letter queue usually does.
const dlqRetention = 14 * 24 * time.Hour

// outlives compares how long the two queues keep a message. A FIFO queue counts anew when it moves.
// Source: "Setting-up dead-letter queue retention", SQS Developer Guide.
func (e *examiner) outlives(q, dlq *topology.QueueState) {
	own, ok := seconds(q.Attributes, attrRetention)
	kept, both := seconds(dlq.Attributes, attrRetention)
	if !ok || !both || kept > own || isFIFO(q.Name) {
		return
	}
	want := cmp.Or(e.wanted[dlq.Name].Retention, dlqRetention) // nobody has to declare the usual
	f := Finding{
		Code: "Q-06", Subject: "queue " + dlq.Name, Queues: []string{q.Name},
		Evidence: []string{attrRetention + " " + human(kept) + ", that of queue " + q.Name + " is " + human(own)},
		Happens:  "when it is moved there late, it is deleted at once",
		Mend: Mend{
			Apply: e.ours(dlq.Name) && want > own && want != kept, Text: "keep dead letters for 14 days",
			AWS: []string{setQueue(dlq.URL, map[string]string{attrRetention: wholeSeconds(dlqRetention)})},
		},
	}
	if own >= dlqRetention {
		f.Mend = Mend{Text: "keep the messages of queue " + q.Name + " for less than 14 days (retention): that is the most a dead-letter queue has"}
	}
	e.find(f)
	e.speakOf(dlq.Name, attrRetention)
}

// takes looks whether the dead-letter queue takes the queue's messages, and keeps them.
func (e *examiner) takes(q, dlq *topology.QueueState) {
	if why := refusal(dlq.Attributes[attrRedriveAllow], q.ARN); why != "" {
		e.find(Finding{
			Code: "Q-09", Subject: "queue " + dlq.Name, Queues: []string{q.Name}, Evidence: []string{attrRedriveAllow + ": " + why},
			Happens: "the next change of the RedrivePolicy of queue " + q.Name + " is refused; it may stay there",
			Mend: Mend{
				Text: "let it take the messages of queue " + q.Name,
				AWS:  []string{setQueue(dlq.URL, map[string]string{attrRedriveAllow: `{"redrivePermission":"allowAll"}`})},
			},
		})
	}
}

// refusal tells why a RedriveAllowPolicy keeps a queue from naming this one; "" when it does not.
func refusal(policy, source string) string {
	var p struct {
		Permission string   `json:"redrivePermission"`
		Sources    []string `json:"sourceQueueArns"`
	}
	if policy == "" || json.Unmarshal([]byte(policy), &p) != nil {
		return ""
	}
	const most = 10
	switch {
	case p.Permission == "denyAll":
		return "denyAll"
	case p.Permission == "byQueue" && !slices.Contains(p.Sources, source):
		return "byQueue, without " + source
	case p.Permission == "byQueue" && len(p.Sources) > most:
		return fmt.Sprintf("byQueue with %d queues of %d", len(p.Sources), most)
	}
	return ""
}

// keeps looks whether what a dead-letter queue catches stays there.
func (e *examiner) keeps(q *topology.QueueState) {
	var evidence []string
	if to := queue.ReadRedrive(q.Attributes[attrRedrive]).Target; to != "" {
		evidence = append(evidence, "its own "+attrRedrive+" names "+to)
	}
	if e.polled(q) {
		evidence = append(evidence, "this worker polls it")
	}
	if len(evidence) == 0 {
		return
	}
	f := Finding{
		Code: "Q-10", Subject: "queue " + q.Name, Queues: slices.Clone(e.caught[q.ARN]), Evidence: evidence,
		Happens: "when nobody can handle it, it does not stay there to be looked at",
		Mend:    Mend{Text: "take its RedrivePolicy away, or let nothing receive from it but replays"},
	}
	if queue.ReadRedrive(q.Attributes[attrRedrive]).Target != "" {
		f.Mend.AWS = []string{setQueue(q.URL, map[string]string{attrRedrive: ""})}
	}
	e.find(f)
}

// moves looks at the move tasks out of a dead-letter queue.
func (e *examiner) moves(q *topology.QueueState) {
	if e.o.Brief || len(e.caught[q.ARN]) == 0 {
		return
	}
	if q.TasksErr != nil {
		e.refused(q.TasksErr, "sqs:ListMessageMoveTasks", "queue "+q.Name, "Q-30")
		return
	}
	if len(q.MoveTasks) == 0 {
		return
	}
	task := q.MoveTasks[0]
	f := Finding{
		Code: "Q-30", Subject: "queue " + q.Name, Queues: slices.Clone(e.caught[q.ARN]),
		Evidence: []string{fmt.Sprintf("task %s since %s, %d of about %d moved", strings.ToLower(task.Status), task.Started.UTC().Format("2006-01-02 15:04"), task.Moved, task.ToMove)},
	}
	switch {
	case task.Running():
		f.Happens = "it is on its way out of the dead-letter queue"
		f.Mend = Mend{Text: "wait, or cancel it"}
		if task.Handle != "" {
			f.Mend.AWS = []string{"aws sqs cancel-message-move-task --task-handle " + quote(task.Handle)}
		}
	case task.Status == "FAILED":
		f.Evidence = append(f.Evidence, or(task.Failure, "no reason given"))
		f.Happens = "it stays in the dead-letter queue"
		f.Mend = Mend{Text: "mend the reason, and replay: worker replay-dlq " + q.Name}
	default:
		return
	}
	e.find(f)
}
