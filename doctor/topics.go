package doctor

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/internal/iampolicy"
	"github.com/stationmaster/worker/topology"
)

// topicSize is what a topic takes unless its MaximumMessageSize says otherwise. Source: Publish, SNS
// API reference.
const topicSize = 256 << 10

func (e *examiner) topics(context.Context) {
	for _, name := range slices.Sorted(maps.Keys(e.state.Topics)) {
		t := e.state.Topics[name]
		switch {
		case t.Missing():
			e.noTopic(t)
		case t.Err != nil:
			e.refused(t.Err, "sns:GetTopicAttributes", "topic "+name, "D-22", "D-24", "D-25", "D-26", "D-28", "D-29", "D-31", "D-32")
		case t.Attributes != nil:
			e.oneTopic(t)
		}
	}
}

func (e *examiner) noTopic(t *topology.TopicState) {
	f := Finding{
		Code: "D-31", Subject: "topic " + t.Name, Evidence: []string{"SNS: there is no topic " + t.ARN},
		Happens: "its publisher gets an error",
		Mend:    Mend{Apply: true, Text: "create it", AWS: []string{"aws sns create-topic --name " + quote(awsarn.Name(t.ARN))}},
	}
	if isFIFO(t.Name) {
		f.Mend.AWS[0] += " --attributes FifoTopic=true"
	}
	if e.topic[t.Name].Unmanaged {
		f.Mend = Mend{Text: "it is somebody else's (manage = false): ask its owner, or correct its name or arn"}
	}
	e.find(f)
}

// oneTopic looks at a topic's attributes. How somebody else's is set up is its owner's business.
func (e *examiner) oneTopic(t *topology.TopicState) {
	e.publishers(t)
	e.sizes(t)
	e.filters(t)
	e.pace(t)
	if !e.topic[t.Name].Unmanaged {
		e.logs(t)
		e.topicDiffers(t)
	}
}

// publishers looks whether the topic's own account may publish.
func (e *examiner) publishers(t *topology.TopicState) {
	p, err := iampolicy.Parse(t.Attributes[attrPolicy])
	if err != nil {
		e.unknown(Unknown{Codes: []string{"D-25"}, Subjects: []string{"topic " + t.Name}, Reason: "its policy cannot be read here: " + err.Error()})
		return
	}
	account := awsarn.Parse(t.ARN).Account
	d := p.Authorize(iampolicy.Request{
		Principal: iampolicy.Principal{AWS: "arn:" + awsarn.Parse(t.ARN).Partition + ":iam::" + account + ":root"},
		Action:    "sns:Publish", Resource: t.ARN, Context: map[string][]string{"aws:SecureTransport": {"true"}},
	})
	switch {
	case d.ExplicitDeny:
		e.find(Finding{
			Code: "D-25", Subject: "topic " + t.Name, Evidence: []string{"Policy: " + d.Why},
			Happens: "its publisher gets an error: AuthorizationError",
			Mend:    Mend{Text: "change that statement", AWS: []string{"aws sns get-topic-attributes --topic-arn " + quote(t.ARN) + " --query Attributes.Policy"}},
		})
	case len(d.Unknown) > 0:
		e.unknown(Unknown{Codes: []string{"D-25"}, Subjects: []string{"topic " + t.Name}, Reason: "its policy has what is not understood here: " + strings.Join(d.Unknown, ", ")})
	}
}

// sizes looks whether what the topic takes fits into what is subscribed.
func (e *examiner) sizes(t *topology.TopicState) {
	takes, ok := number(t.Attributes, attrMaxSize)
	if !ok {
		takes = topicSize
	}
	web := ""
	for i := range e.lines {
		l := &e.lines[i]
		if l.topic != t {
			continue
		}
		if l.protocol == "http" || l.protocol == "https" {
			web = l.name
		}
		if l.queue == nil || !l.queue.Known() {
			continue
		}
		if room, ok := number(l.queue.Attributes, attrMaxSize); ok && room < needed(takes, l.want.Raw) {
			e.find(Finding{
				Code: "D-26", Subject: "subscription " + l.name, Queues: l.suffers(),
				Evidence: []string{"topic: " + bytes(takes) + ", queue: " + bytes(room) + ", " + map[bool]string{true: "raw", false: "in an envelope, which escapes the body"}[l.want.Raw]},
				Happens:  "when it is larger than the queue takes, SNS is refused and " + l.fate(),
				Mend: Mend{
					Apply: e.ours(l.queue.Name), Text: "let the queue take 1 MiB (max_message_size = 1048576)",
					AWS: []string{setQueue(l.queue.URL, map[string]string{attrMaxSize: strconv.Itoa(queueSize)})},
				},
			})
			e.speakOf(l.queue.Name, attrMaxSize)
		}
	}
	const most = 100
	if takes > topicSize && (web != "" || len(t.Subscriptions) > most) {
		evidence := []string{attrMaxSize + " " + strconv.Itoa(takes), strconv.Itoa(len(t.Subscriptions)) + " subscriptions"}
		if web != "" {
			evidence = append(evidence, "subscription "+web)
		}
		e.find(Finding{
			Code: "D-28", Subject: "topic " + t.Name, Evidence: evidence, Happens: "SNS refuses the next subscription, or the size",
			Mend: Mend{Text: "lower it to 256 KiB", AWS: []string{setTopic(t.ARN, attrMaxSize, strconv.Itoa(topicSize))}},
		})
	}
}

// queueSize is the most that a queue can take. Source: SendMessage, SQS API reference.
const queueSize = 1 << 20

// needed is what a queue must take: an envelope escapes each quote of the body and adds its own fields.
func needed(takes int, raw bool) int {
	const fields = 4 << 10
	if raw {
		return takes
	}
	return min(2*takes+fields, queueSize)
}

func bytes(n int) string {
	switch {
	case n%(1<<20) == 0:
		return strconv.Itoa(n>>20) + " MiB"
	case n%(1<<10) == 0:
		return strconv.Itoa(n>>10) + " KiB"
	}
	return strconv.Itoa(n) + " bytes"
}

// filters counts the filter policies of the topic.
func (e *examiner) filters(t *topology.TopicState) {
	const quota, near = 200, 160
	n := 0
	for _, s := range t.Subscriptions {
		if filter, _ := filterOf(s.Attributes); filter != "" {
			n++
		}
	}
	if n >= near {
		e.find(Finding{
			Code: "D-30", Subject: "topic " + t.Name, Evidence: []string{strconv.Itoa(n) + " filter policies of " + strconv.Itoa(quota)},
			Happens: "nothing yet; the next filter is refused",
			Mend:    Mend{Text: "let one queue serve several kinds (jobs = { … }), or ask AWS for more: quota \"Filter policies per topic\""},
		})
	}
}

// pace compares the limits of a FIFO topic with those of the queues behind it.
func (e *examiner) pace(t *topology.TopicState) {
	if t.Attributes["FifoThroughputScope"] != "MessageGroup" {
		return
	}
	for i := range e.lines {
		l := &e.lines[i]
		if l.topic != t || l.queue == nil || !l.queue.Known() || !isFIFO(l.endpoint) || l.queue.Attributes["FifoThroughputLimit"] == "perMessageGroupId" {
			continue
		}
		high := map[string]string{"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
		e.find(Finding{
			Code: "Q-37", Subject: "subscription " + l.name, Queues: l.suffers(),
			Evidence: []string{"topic: FifoThroughputScope MessageGroup", "queue: FifoThroughputLimit " + or(l.queue.Attributes["FifoThroughputLimit"], "perQueue")},
			Happens:  "it waits at SNS when the topic is faster than the queue",
			Mend:     Mend{Apply: e.wanted[l.queue.Name].Attributes["FifoThroughputLimit"] == "perMessageGroupId", Text: "set high_throughput = true on the queue", AWS: []string{setQueue(l.queue.URL, high)}},
		})
		e.speakOf(l.queue.Name, "FifoThroughputLimit")
		e.speakOf(l.queue.Name, "DeduplicationScope")
	}
}

// feedback is the attribute with the role that SNS logs the failed deliveries of a protocol with.
var feedback = map[string]string{
	"sqs": "SQSFailureFeedbackRoleArn", "http": "HTTPFailureFeedbackRoleArn", "https": "HTTPFailureFeedbackRoleArn",
	"lambda": "LambdaFailureFeedbackRoleArn", "firehose": "FirehoseFailureFeedbackRoleArn", "application": "ApplicationFailureFeedbackRoleArn",
}

// logs looks whether SNS tells anybody why a delivery fails.
func (e *examiner) logs(t *topology.TopicState) {
	if e.o.Local {
		return // keys and alarms say that the endpoint is not AWS
	}
	var missing []string
	for _, l := range e.lines {
		name := feedback[l.protocol]
		if l.topic == t && name != "" && t.Attributes[name] == "" && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return
	}
	slices.Sort(missing)
	f := Finding{
		Code: "D-22", Subject: "topic " + t.Name, Evidence: []string{"not set: " + strings.Join(missing, ", ")},
		Happens: "when it cannot be delivered, the cause is recorded nowhere",
		Mend:    Mend{Text: "set delivery_log_role to a role that SNS may write logs with"},
	}
	for _, name := range missing {
		role := e.topic[t.Name].Attributes[name]
		f.Mend.Apply = f.Mend.Apply || role != ""
		f.Mend.AWS = append(f.Mend.AWS, setTopic(t.ARN, name, or(role, "ROLE_ARN")))
		e.speakOf(t.Name, name)
	}
	e.find(f)
}

// topicDiffers looks at the attributes that are declared.
func (e *examiner) topicDiffers(t *topology.TopicState) {
	want, have := e.topic[t.Name].Attributes, t.Attributes
	if e.web(t) && have[attrSignature] != "2" && want[attrSignature] != "1" || want[attrSignature] == "2" && have[attrSignature] != "2" {
		e.find(Finding{
			Code: "D-24", Subject: "topic " + t.Name, Evidence: []string{attrSignature + " " + or(have[attrSignature], "1, as none is set")},
			Happens: "an endpoint believes it by a SHA-1 signature",
			Mend:    Mend{Apply: want[attrSignature] == "2", Text: "set signature_version = 2", AWS: []string{setTopic(t.ARN, attrSignature, "2")}},
		})
		e.speakOf(t.Name, attrSignature)
	}
	const tracing = "TracingConfig"
	if want[tracing] != "" && have[tracing] != want[tracing] {
		e.find(Finding{
			Code: "D-29", Subject: "topic " + t.Name, Evidence: []string{contrast(tracing, have[tracing], want[tracing])}, Happens: "its trace has a gap, or one too many",
			Mend: Mend{Apply: true, Text: "set it as declared", AWS: []string{setTopic(t.ARN, tracing, want[tracing])}},
		})
		e.speakOf(t.Name, tracing)
	}
	f := Finding{Code: "D-32", Subject: "topic " + t.Name, Happens: "it is treated otherwise than declared", Mend: Mend{Apply: true, Text: "set it as declared"}}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if have[name] == want[name] || sameJSON(have[name], want[name]) || e.spoken[t.Name+"\n"+name] {
			continue
		}
		f.Evidence = append(f.Evidence, contrast(name, have[name], want[name]))
		f.Mend.AWS = append(f.Mend.AWS, setTopic(t.ARN, name, want[name]))
	}
	if len(f.Evidence) > 0 {
		e.find(f)
	}
}

// web tells whether the topic delivers to HTTP endpoints.
func (e *examiner) web(t *topology.TopicState) bool {
	return slices.ContainsFunc(e.lines, func(l line) bool { return l.topic == t && (l.protocol == "http" || l.protocol == "https") })
}

// speakOf notes that a finding speaks of an attribute, so that none says again that it differs.
func (e *examiner) speakOf(name, attribute string) { e.spoken[name+"\n"+attribute] = true }

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
