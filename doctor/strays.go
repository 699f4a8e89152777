package doctor

import (
	"errors"
	"fmt"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// What D-21 says of a message, and of what waits to be confirmed. Source of the hours: "What's New", May
// 2023, "automatic deletion of unconfirmed subscriptions".
const (
	twice       = "the queue gets it from there too: twice, or without a job that knows it"
	unconfirmed = "nothing yet; once somebody confirms it, " + twice
	leaveIt     = "declare it, or leave it alone: SNS deletes after 48 hours what nobody confirms, and lets nobody unsubscribe it before"
)

// unsubscribe is the mend of what is to go.
func unsubscribe(text, arn string) Mend {
	return Mend{Text: text, AWS: []string{"aws sns unsubscribe --subscription-arn " + quote(arn)}}
}

// strays looks at what leads to a queue of ours past the topics of the topology.
func (e *examiner) strays() {
	const all = "the subscriptions of the account"
	if e.o.Brief {
		return
	}
	if err := e.state.StraysErr; err != nil {
		e.refused(err, "sns:ListSubscriptions", all, "D-21")
	}
	if e.state.MoreStrays {
		e.unknown(Unknown{
			Codes: []string{"D-21"}, Subjects: []string{all}, Reason: fmt.Sprintf("there are more than the %d that are looked through", topology.MostListed),
			Mend: `look for the ARN of a queue: aws sns list-subscriptions --query "Subscriptions[?Endpoint=='ARN']"`,
		})
	}
	for _, s := range e.state.Strays {
		e.stray(s)
	}
}

func (e *examiner) stray(s *topology.Stray) {
	f := Finding{
		Code: "D-21", Subject: "subscription " + awsarn.Name(s.TopicARN) + " → " + awsarn.Name(s.Endpoint),
		Evidence: []string{"ListSubscriptions: " + s.ARN + ", of topic " + s.TopicARN},
		Mend:     unsubscribe("unsubscribe it", s.ARN),
	}
	switch {
	case s.Orphan():
		f.Evidence = append(f.Evidence, "SNS: there is no such topic")
		f.Happens = "nothing comes by it, since its topic was deleted; who looks at the list takes it for one that delivers"
	case s.Recreated:
		f.Evidence = append(f.Evidence, "ListSubscriptionsByTopic: it is not listed, so it was made for a topic of that name that was deleted")
		f.Happens = "nothing may come by it, or a second time what comes by the declared one: AWS does not say"
	default:
		f.Evidence = append(f.Evidence, "the topic is not declared")
		f.Happens, f.Mend.Text = e.byAnother(s), "declare its topic and it, or unsubscribe it"
		if errors.Is(s.TopicErr, queue.ErrDenied) {
			f.Evidence = append(f.Evidence, "sns:GetTopicAttributes is denied, so the topic may be gone, too")
		}
	}
	if !awsarn.Is(s.ARN) {
		f.Happens, f.Mend = unconfirmed, Mend{Text: leaveIt}
	}
	e.find(f)
}

// byAnother is what becomes of a message of a topic that nobody has declared.
func (e *examiner) byAnother(s *topology.Stray) string {
	if q := e.byARN[s.Endpoint]; q != nil && q.Known() && judge(q.Attributes[attrPolicy], s.TopicARN, q.ARN).code != "" {
		return "the queue does not let that topic in: SNS is refused for each of its messages, and throws it away unless it has a dead-letter queue"
	}
	return twice
}
