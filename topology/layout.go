package topology

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/stationmaster/worker/internal/awsarn"
)

// layout is the topology with everything derived: the dead-letter queues that nobody declared, in
// the order of creation, and which topics may send to which queue.
type layout struct {
	account       Account
	queues        []Queue             // dead-letter queues before the queues that point at them
	ordered       []Topic             // as declared
	topics        map[string]Topic    // by name
	byName        map[string]Queue    // the same queues
	senders       map[string][]string // queue name → names of topics, sorted
	victims       map[string]string   // dead-letter queue → the queue whose messages it catches
	subscriptions []Subscription
}

func (t Topology) layout(account Account) layout {
	l := layout{
		account: account, ordered: t.Topics, topics: make(map[string]Topic), byName: make(map[string]Queue),
		senders: make(map[string][]string), victims: make(map[string]string),
	}
	for _, topic := range t.Topics {
		l.topics[topic.Name] = topic
	}
	declared := make(map[string]Queue)
	for _, q := range t.Queues {
		declared[q.Name] = q
	}
	for _, s := range t.Subscriptions {
		s.Protocol = s.protocol()
		if own := awsarn.Name(s.Queue); awsarn.Is(s.Queue) && s.Queue == account.QueueARN(own) {
			if _, ok := declared[own]; ok {
				s.Queue = own // it needs its permission, however it is spelled
			}
		}
		l.subscriptions = append(l.subscriptions, s)
	}
	for _, q := range t.Queues {
		if !q.Unmanaged {
			l.addDLQ(declared, q.DLQ, q.Name, q.encryption())
		}
	}
	for _, s := range l.subscriptions {
		l.addDLQ(declared, s.DLQ, s.Queue, declared[s.Queue].encryption())
	}
	for _, q := range t.Queues {
		l.add(q)
	}
	for _, s := range l.subscriptions {
		if s.Protocol == sqs {
			l.allow(s.Queue, s.Topic)
		}
		l.allow(s.DLQ, s.Topic)
	}
	return l
}

// addDLQ adds the dead-letter queue of victim, after its own if it has one: a RedrivePolicy is
// refused while the queue that it names has a RedriveAllowPolicy that does not know it yet.
func (l *layout) addDLQ(declared map[string]Queue, name, victim string, encryption map[string]string) {
	if name == "" {
		return
	}
	l.victims[name] = victim
	if _, ok := l.byName[name]; ok {
		return
	}
	q := deadLetters(declared, name, encryption)
	if !q.Unmanaged {
		l.addDLQ(declared, q.DLQ, name, q.encryption())
	}
	l.add(q)
}

// deadLetters returns the queue as declared, or as it is made when nobody declared it.
func deadLetters(declared map[string]Queue, name string, encryption map[string]string) Queue {
	q, ok := declared[name]
	if !ok {
		q = Queue{Name: name, Attributes: encryption}
	}
	if q.Retention == 0 && !q.Unmanaged {
		q.Retention = dlqRetention
	}
	return q
}

// encryption is how what is in the queue is kept secret, as far as it is said.
func (q Queue) encryption() map[string]string {
	said := make(map[string]string)
	for _, name := range []string{attrKey, attrSSE} {
		if value, ok := q.Attributes[name]; ok {
			said[name] = value
		}
	}
	return said
}

func (l *layout) add(q Queue) {
	if _, ok := l.byName[q.Name]; !ok {
		l.byName[q.Name] = q
		l.queues = append(l.queues, q)
	}
}

// allow notes that topic sends to the queue of that name, if it is ours to give permissions.
func (l *layout) allow(name, topic string) {
	q, ok := l.byName[name]
	if !ok || q.Unmanaged || slices.Contains(l.senders[name], topic) {
		return
	}
	l.senders[name] = append(l.senders[name], topic)
	slices.Sort(l.senders[name])
}

func (l *layout) queueARN(nameOrARN string) string {
	if awsarn.Is(nameOrARN) {
		return nameOrARN
	}
	q := l.byName[nameOrARN]
	switch {
	case q.ARN != "":
		return q.ARN
	case q.URL != "":
		return l.account.arnOf(q.URL)
	}
	return l.account.QueueARN(nameOrARN)
}

// region finds the region in a queue's host: sqs.eu-west-1.amazonaws.com, a VPC endpoint, or the
// older eu-west-1.queue.amazonaws.com.
var region = regexp.MustCompile(`(?:^|\.)([a-z]{2,}(?:-[a-z]+)+-\d+)\.`)

// arnOf returns the ARN of a queue given by its URL, which ends in account and name. An address
// that says no region, as a local one, is in ours.
func (a Account) arnOf(address string) string {
	at, err := url.Parse(address)
	if err != nil {
		return a.QueueARN(awsarn.Name(address))
	}
	if m := region.FindStringSubmatch(at.Hostname()); m != nil {
		a.Region = m[1]
	}
	parts := strings.Split(strings.Trim(at.Path, "/"), "/")
	if len(parts) > 1 {
		a.ID = parts[len(parts)-2]
	}
	return a.QueueARN(parts[len(parts)-1])
}

func (l *layout) topicARN(name string) string {
	if t := l.topics[name]; t.ARN != "" {
		return t.ARN
	}
	return l.account.TopicARN(name)
}

// endpoint is where a subscription leads, as SNS spells it.
func (l *layout) endpoint(s Subscription) (protocol, endpoint string) {
	if s.Protocol == sqs {
		return sqs, l.queueARN(s.Queue)
	}
	return s.Protocol, s.Endpoint
}

// attributes are those wanted of a managed queue, without its policy.
func (l *layout) attributes(q Queue) map[string]string {
	want := make(map[string]string)
	if q.Visibility > 0 {
		want[attrVisibility] = seconds(q.Visibility)
	}
	if q.Retention > 0 {
		want[attrRetention] = seconds(q.Retention)
	}
	if q.DLQ != "" {
		want[attrRedrive] = redrive(l.queueARN(q.DLQ), q.MaxReceiveCount)
	} else if _, catches := l.victims[q.Name]; !catches {
		want[attrRedrive] = "" // what a dead-letter queue does with its own messages is not said here
	}
	maps.Copy(want, q.Attributes)
	return want
}
