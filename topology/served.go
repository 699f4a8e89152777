package topology

// ServedSubscription is a subscription whose endpoint a worker of this configuration is: what it needs
// to take its messages, to confirm it and to prove that it is as declared.
type ServedSubscription struct {
	Name               string // topic → endpoint
	TopicARN           string
	Protocol, Endpoint string
	// Attributes are those wanted, as SNS spells them. An empty value is to be removed.
	Attributes map[string]string
	// DLQ is the name of the queue for what could not be delivered; empty for none.
	DLQ string
}

// Served returns the subscriptions that a worker of this configuration serves, in their order.
func (t Topology) Served(account Account) []ServedSubscription {
	l := t.layout(account)
	var all []ServedSubscription
	for _, s := range l.subscriptions {
		if !s.Served {
			continue
		}
		protocol, endpoint := l.endpoint(s)
		all = append(all, ServedSubscription{
			Name: s.name(), TopicARN: l.topicARN(s.Topic), Protocol: protocol, Endpoint: endpoint,
			Attributes: l.subscription(s), DLQ: s.DLQ,
		})
	}
	return all
}
