package doctor

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/internal/snsfilter"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// subscriptions looks at every line that is declared, and then at what is not.
func (e *examiner) subscriptions(context.Context) {
	told := map[string]bool{}
	for i := range e.lines {
		l := &e.lines[i]
		switch {
		case l.topic.Missing():
			continue // the topic's own finding says it
		case l.topic.ListErr != nil:
			if !told[l.topic.Name] {
				e.refused(l.topic.ListErr, "sns:ListSubscriptionsByTopic", "topic "+l.topic.Name, "D-08", "D-09", "D-10", "D-12", "D-13", "D-15", "D-17", "D-18", "D-19", "D-21")
			}
			told[l.topic.Name] = true
		case l.have == nil:
			e.notSubscribed(l)
		case l.have.Pending():
			e.pending(l)
		case l.have.Err != nil || l.have.Attributes == nil:
			e.refused(l.have.Err, "sns:GetSubscriptionAttributes", "subscription "+l.name, "D-12", "D-13", "D-15", "D-17", "D-18", "D-19")
		default:
			e.subscribed(l)
		}
		e.entrance(l)
	}
	for _, name := range slices.Sorted(maps.Keys(e.state.Topics)) {
		e.undeclared(e.state.Topics[name])
	}
	e.strays()
	e.mixed()
}

func (e *examiner) notSubscribed(l *line) {
	evidence := []string{"ListSubscriptionsByTopic: " + strconv.Itoa(len(l.topic.Subscriptions)) + " listed, none with endpoint " + l.endpoint}
	if ended, _ := number(l.topic.Attributes, "SubscriptionsDeleted"); ended > 0 {
		evidence = append(evidence, "SubscriptionsDeleted "+strconv.Itoa(ended))
	}
	f := Finding{
		Code: "D-09", Subject: "subscription " + l.name, Queues: l.suffers(), Evidence: evidence,
		Happens: "SNS takes it and delivers it to others only; nobody sees an error, and no metric of a failure",
		Mend:    Mend{Apply: true, Text: "subscribe it, with all its attributes in the one call"},
	}
	attributes := map[string]string{}
	if l.want.Raw {
		attributes[attrRaw] = "true"
	}
	if l.want.Filter != "" {
		attributes[attrFilter], attributes[attrScope] = l.want.Filter, scopes[l.want.FilterOn]
	}
	if q := e.state.Queues[l.want.DLQ]; q != nil {
		attributes[attrRedrive] = compact(map[string]string{"deadLetterTargetArn": q.ARN})
	}
	command := "aws sns subscribe --return-subscription-arn --topic-arn " + quote(l.topic.ARN) + " --protocol " + l.protocol + " --notification-endpoint " + quote(l.endpoint)
	if len(attributes) > 0 {
		command += " --attributes " + quote(compact(attributes))
	}
	f.Mend.AWS = []string{command}
	e.find(f)
}

func (e *examiner) pending(l *line) {
	m := Mend{Text: "its owner has to confirm it, with the token that SNS has sent to it"}
	switch {
	case l.want.Served:
		m = Mend{Apply: true, Text: "ask for a new token while a worker is running, which confirms it"}
	case l.protocol == "sqs":
		m = Mend{Text: "the queue's owner confirms it, with the Token of the SubscriptionConfirmation message in the queue"}
	case l.protocol == "http" || l.protocol == "https":
		m = Mend{Apply: true, Text: "ask for a new token; whoever runs the endpoint confirms it"}
	}
	m.AWS = []string{"aws sns confirm-subscription --topic-arn " + quote(l.topic.ARN) + " --token TOKEN"}
	e.find(Finding{
		Code: "D-08", Subject: "subscription " + l.name, Queues: l.suffers(), Evidence: []string{"PendingConfirmation, endpoint " + l.endpoint},
		Happens: "SNS takes it and delivers it to others only; nobody sees an error", Mend: m,
	})
}

// subscribed looks at the attributes of a subscription that is there.
func (e *examiner) subscribed(l *line) {
	have := l.have.Attributes
	if slices.Contains([]string{"sqs", "http", "https", "firehose"}, l.protocol) && (have[attrRaw] == "true") != l.want.Raw {
		form := map[bool]string{true: "as it was published", false: "in SNS's envelope"}
		e.find(Finding{
			Code: "D-15", Subject: "subscription " + l.name, Queues: l.suffers(),
			Evidence: []string{attrRaw + " " + strconv.FormatBool(!l.want.Raw) + ", declared " + strconv.FormatBool(l.want.Raw)},
			Happens:  "it comes " + form[!l.want.Raw] + "; declared is " + form[l.want.Raw],
			Mend:     Mend{Apply: true, Text: "set it as declared", AWS: []string{setSubscription(l.have.ARN, attrRaw, strconv.FormatBool(l.want.Raw))}},
		})
	}
	e.filter(l)
	e.net(l)
	e.otherwise(l)
}

// scopes maps filter_on to SNS's word.
var scopes = map[string]string{"body": "MessageBody", "attributes": "MessageAttributes"}

const noFilter = "{}"

// filterOf is the filter of a subscription and where it looks; none: "".
func filterOf(attributes map[string]string) (filter, scope string) {
	filter = attributes[attrFilter]
	if filter == "" || sameJSON(filter, noFilter) {
		return "", ""
	}
	if scope = attributes[attrScope]; scope == "" {
		scope = string(snsfilter.Attributes)
	}
	return filter, scope
}

func (e *examiner) filter(l *line) {
	filter, scope := filterOf(l.have.Attributes)
	want, wantScope := l.want.Filter, scopes[l.want.FilterOn]
	if want == "" {
		wantScope = ""
	}
	f := Finding{
		Code: "D-13", Subject: "subscription " + l.name, Queues: l.suffers(),
		Evidence: []string{"the filter is another one than declared"},
		Mend:     Mend{Apply: true, Text: "set the declared filter"},
	}
	switch {
	case (filter == want || sameJSON(filter, want)) && scope == wantScope:
		return
	case want == "":
		f.Evidence = []string{attrFilter + " is set, on " + scope + "; none is declared"}
		f.Happens = "it is kept away from the queue when it does not match"
		f.Mend.Text, f.Mend.AWS = "remove the filter", []string{setSubscription(l.have.ARN, attrFilter, noFilter)}
	case filter == "":
		f.Evidence = []string{"there is no " + attrFilter + "; one is declared, on " + wantScope}
		f.Happens = "it comes to the queue though the declared filter keeps it away, and its jobs may not know it"
	default:
		e.other(l, &f, filter, scope)
	}
	if want != "" {
		f.Mend.AWS = []string{setSubscription(l.have.ARN, attrScope, wantScope), setSubscription(l.have.ARN, attrFilter, want)}
		if filter != "" && wantScope == scopes["attributes"] {
			slices.Reverse(f.Mend.AWS) // a nested filter that is there is refused on attributes
		}
	}
	e.find(f)
}

// other compares two filters by a message that the declared one lets through.
func (e *examiner) other(l *line, f *Finding, filter, scope string) {
	f.Happens = "it may be let through or kept away otherwise than declared"
	if wanted := scopes[l.want.FilterOn]; scope != wanted {
		f.Evidence = []string{attrScope + " " + scope + ", declared " + wanted}
	}
	m, err := Satisfying(l.want.Filter, l.want.FilterOn)
	p, parseErr := snsfilter.Parse(filter, snsfilter.Scope(scope))
	if err != nil || parseErr != nil {
		return
	}
	if v := p.Explain(m.filtered()); !v.Passes {
		f.Code = "D-12"
		f.Evidence = append(f.Evidence, "a message that the declared filter lets through: "+v.Why)
		f.Happens = "it is kept away from the queue, and nobody sees an error; only " + string(v.Metric) + " counts it"
	}
}

func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// otherwise looks at what no other check speaks of.
func (e *examiner) otherwise(l *line) {
	var differs, mends []string
	differ := func(name, want string) {
		have := l.have.Attributes[name]
		if have == want || sameJSON(have, want) {
			return
		}
		differs = append(differs, contrast(name, have, want))
		if want != "" {
			mends = append(mends, setSubscription(l.have.ARN, name, want))
		}
	}
	if l.protocol == "http" || l.protocol == "https" {
		differ("DeliveryPolicy", l.want.Delivery)
	}
	if l.want.Role != "" {
		differ("SubscriptionRoleArn", l.want.Role)
	}
	to := queue.ReadRedrive(l.have.Attributes[attrRedrive]).Target
	if q := e.state.Queues[l.want.DLQ]; to != "" && !e.spoken[l.name+"\n"+attrRedrive] && (q == nil || q.ARN != to) {
		differs = append(differs, contrast(attrRedrive, to, l.want.DLQ))
	}
	if len(differs) > 0 {
		e.find(Finding{
			Code: "D-32", Subject: "subscription " + l.name, Queues: l.suffers(), Evidence: differs,
			Happens: "it is treated otherwise than declared", Mend: Mend{Apply: true, Text: "set them as declared", AWS: mends},
		})
	}
}

// contrast says how one attribute differs, without a document that may be long.
func contrast(name, have, want string) string {
	switch {
	case have == "":
		return name + " is not set, declared " + shortened(want)
	case want == "":
		return name + " " + shortened(have) + ", none is declared"
	}
	return name + " " + shortened(have) + ", declared " + shortened(want)
}

func shortened(s string) string {
	const most = 80
	if len(s) > most || strings.HasPrefix(s, "{") {
		return "a document"
	}
	return s
}

// undeclared looks at the subscriptions of a topic that nobody has declared.
func (e *examiner) undeclared(t *topology.TopicState) {
	for _, s := range t.Subscriptions {
		q := e.byARN[s.Endpoint]
		if s.Declared || s.Ended() || s.Protocol != "sqs" || q == nil {
			continue
		}
		f := Finding{
			Code: "D-21", Subject: "subscription " + t.Name + " → " + q.Name, Evidence: []string{s.ARN + " is not declared"},
			Happens: twice, Mend: unsubscribe("declare it, or unsubscribe it", s.ARN),
		}
		_, ours := e.state.Queues[q.Name]
		switch {
		case ours && q == e.state.Queues[q.Name]:
		case q.Missing() && !e.elsewhere(q.ARN) && awsarn.Parse(q.ARN).Account == e.state.Account.ID:
			f.Evidence, f.Happens = append(f.Evidence, "SQS: there is no queue "+q.ARN), "a delivery fails for each message, and drowns the failures that matter"
		default:
			continue // a subscription of somebody else's
		}
		if s.Pending() {
			f.Happens, f.Mend = unconfirmed, Mend{Text: leaveIt}
		}
		if t.Find("sqs", s.Endpoint) != s {
			f.Evidence = append(f.Evidence, "the topic has another one with the same endpoint")
		}
		e.find(f)
	}
}

// filtered is the sample as filters look at it.
func (m *Sample) filtered() *snsfilter.Message {
	attributes := make(map[string]snsfilter.Attribute, len(m.Attributes))
	for name, a := range m.Attributes {
		attributes[name] = snsfilter.Attribute{Type: a.Type, Value: a.Value}
	}
	return snsfilter.NewMessage(m.Body, attributes)
}
