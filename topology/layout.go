package topology

import (
	"maps"
	"slices"
)

// layout is the topology with everything derived: the dead-letter queues that nobody declared, in
// the order of creation, and which topics may send to which queue.
type layout struct {
	account Account
	queues  []Queue             // dead-letter queues before the queues that point at them
	topics  map[string]Topic    // by name
	byName  map[string]Queue    // the same queues
	senders map[string][]string // queue name → names of topics, sorted
	victims map[string]string   // dead-letter queue → the queue whose messages it catches
}

func (t Topology) layout(account Account) layout {
	l := layout{
		account: account, topics: make(map[string]Topic), byName: make(map[string]Queue),
		senders: make(map[string][]string), victims: make(map[string]string),
	}
	for _, topic := range t.Topics {
		l.topics[topic.Name] = topic
	}
	declared := make(map[string]Queue)
	for _, q := range t.Queues {
		declared[q.Name] = q
	}
	for _, q := range t.Queues {
		if q.DLQ != "" && !q.Unmanaged {
			l.victims[q.DLQ] = q.Name
			l.add(deadLetters(declared, q.DLQ))
		}
	}
	for _, s := range t.Subscriptions {
		if s.DLQ != "" {
			l.victims[s.DLQ] = s.Queue
			l.add(deadLetters(declared, s.DLQ))
		}
	}
	for _, q := range t.Queues {
		l.add(q)
	}
	for _, s := range t.Subscriptions {
		l.allow(s.Queue, s.Topic)
		l.allow(s.DLQ, s.Topic)
	}
	return l
}

// deadLetters returns the queue as declared, or as it is made when nobody declared it.
func deadLetters(declared map[string]Queue, name string) Queue {
	q, ok := declared[name]
	if !ok {
		q = Queue{Name: name}
	}
	if q.Retention == 0 {
		q.Retention = dlqRetention
	}
	return q
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
	if isARN(nameOrARN) {
		return nameOrARN
	}
	if q := l.byName[nameOrARN]; q.ARN != "" {
		return q.ARN
	}
	return l.account.QueueARN(nameOrARN)
}

func (l *layout) topicARN(name string) string {
	if t := l.topics[name]; t.ARN != "" {
		return t.ARN
	}
	return l.account.TopicARN(name)
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
	}
	maps.Copy(want, q.Attributes)
	return want
}
