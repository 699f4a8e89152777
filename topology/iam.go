package topology

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/internal/iampolicy"
)

// Roles that Policy knows.
const (
	// WorkerRole receives, settles, dead-letters, publishes what is scheduled, and verifies what it stands on.
	WorkerRole = "worker"
	// OperatorRole looks at everything and changes nothing: plan, map and doctor.
	OperatorRole = "operator"
	// CanaryRole is the operator's that also sends canaries: doctor --canary makes queues, topics and
	// subscriptions of its own, and deletes them.
	CanaryRole = "canary"
	// ReplayerRole empties dead-letter queues into the queues that they came from.
	ReplayerRole = "replayer"
	// ProvisionerRole applies the topology.
	ProvisionerRole = "provisioner"
	// PublisherRole publishes to the topics.
	PublisherRole = "publisher"
)

// Roles are all of them.
func Roles() []string {
	return []string{WorkerRole, OperatorRole, CanaryRole, ReplayerRole, ProvisionerRole, PublisherRole}
}

// CanaryPrefix begins the names of the queues and topics that a canary makes for itself.
const CanaryPrefix = "stationmaster-canary-"

// MaxPolicy is how many characters a managed policy of IAM may have, white space not counted. Source:
// "IAM and AWS STS quotas", IAM User Guide.
const MaxPolicy = 6144

// permission is one statement of an identity policy.
type permission struct {
	Sid       string                         `json:"Sid"`
	Effect    string                         `json:"Effect"`
	Action    []string                       `json:"Action"`
	Resource  []string                       `json:"Resource"`
	Condition map[string]map[string][]string `json:"Condition,omitempty"`
}

// Policy is the identity policy in JSON that lets a role do what it does with exactly this topology, and
// nothing else. With prune the provisioner may also delete. Permissions that queues and topics of other
// accounts give are theirs to give: see Errands.
func (t Topology) Policy(role string, account Account, prune bool) (string, error) {
	if err := t.check(account); err != nil {
		return "", fmt.Errorf("policy of %s: %w", role, err)
	}
	l := t.layout(account)
	w := &permissions{layout: &l, owner: t.Owner, resources: newResources(&l)}
	switch role {
	case WorkerRole:
		w.worker()
	case OperatorRole:
		w.operator()
	case CanaryRole:
		w.operator()
		w.canary()
	case ReplayerRole:
		w.replayer()
	case ProvisionerRole:
		w.provisioner(prune)
	case PublisherRole:
		w.allow("Publish", w.topics, "sns:Publish")
		w.keys("Keys", w.topicKeys(nil), "kms:Decrypt", "kms:GenerateDataKey*")
	default:
		return "", fmt.Errorf("policy of %s: there is no such role; one of %s", role, strings.Join(Roles(), ", "))
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	document := struct {
		Version   string
		Statement []permission
	}{"2012-10-17", w.all}
	if err := e.Encode(document); err != nil {
		return "", fmt.Errorf("policy of %s: %w", role, err)
	}
	return b.String(), nil
}

// resources are the ARNs that the statements speak of.
type resources struct {
	queues    []string // all: those that are worked, and their dead-letter queues
	worked    []string // those with a job
	dead      []string // dead-letter queues of queues and of deliveries
	topics    []string
	ours      []string // topics that are managed here
	ourQueues []string // queues that are managed here
	served    bool     // there is an HTTP endpoint that this worker answers at
}

func newResources(l *layout) resources {
	var r resources
	for _, q := range l.queues {
		arn := l.queueARN(q.Name)
		r.queues = append(r.queues, arn)
		_, catches := l.victims[q.Name]
		if catches {
			r.dead = append(r.dead, arn)
		}
		if !catches || q.DLQ != "" { // one that has dead letters itself is worked
			r.worked = append(r.worked, arn)
		}
		if !q.Unmanaged {
			r.ourQueues = append(r.ourQueues, arn)
		}
	}
	for _, t := range l.ordered {
		r.topics = append(r.topics, l.topicARN(t.Name))
		if !t.Unmanaged {
			r.ours = append(r.ours, l.topicARN(t.Name))
		}
	}
	r.served = slices.ContainsFunc(l.subscriptions, func(s Subscription) bool { return s.Served })
	return r
}

// permissions writes the statements of one role.
type permissions struct {
	resources
	layout *layout
	owner  string
	all    []permission
}

// everywhere is for actions that IAM cannot confine to a queue or a topic. Source: "Actions, resources,
// and condition keys for Amazon SNS", Service Authorization Reference.
var everywhere = []string{"*"}

func (w *permissions) allow(sid string, resources []string, actions ...string) {
	if len(resources) == 0 {
		return
	}
	slices.Sort(actions)
	sorted := slices.Sorted(slices.Values(resources))
	w.all = append(w.all, permission{Sid: sid, Effect: "Allow", Action: actions, Resource: slices.Compact(sorted)})
}

func (w *permissions) worker() {
	w.allow("Work", w.worked, "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility")
	w.allow("DeadLetter", w.deadLettered(), "sqs:SendMessage")
	queues, topics := w.scheduled()
	w.allow("SendTicks", queues, "sqs:SendMessage")
	w.allow("PublishTicks", topics, "sns:Publish")
	w.allow("FindQueues", w.queues, "sqs:GetQueueUrl", "sqs:GetQueueAttributes")
	w.allow("VerifyTopics", w.topics, "sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic")
	w.allow("VerifySubscriptions", w.any(), "sns:GetSubscriptionAttributes")
	if w.served {
		w.allow("Confirm", w.servedTopics(func(Subscription) bool { return true }), "sns:ConfirmSubscription")
		w.resubscribe()
		w.allow("Attach", everywhere, "sns:SetSubscriptionAttributes", "sns:Unsubscribe")
	}
	w.keys("Decrypt", w.queueKeys(nil), "kms:Decrypt")
	w.keys("DeadLetterKeys", w.queueKeys(w.deadLettered()), "kms:Decrypt", "kms:GenerateDataKey")
	w.keys("SendTicksKeys", w.queueKeys(queues), "kms:Decrypt", "kms:GenerateDataKey")
	w.keys("PublishTicksKeys", w.topicKeys(topics), "kms:Decrypt", "kms:GenerateDataKey*")
}

// scheduled are where a worker publishes by itself.
func (w *permissions) scheduled() (queues, topics []string) {
	queues, topics = []string{}, []string{}
	for _, q := range w.layout.queues {
		if q.Scheduled {
			queues = append(queues, w.layout.queueARN(q.Name))
		}
	}
	for _, t := range w.layout.ordered {
		if t.Scheduled {
			topics = append(topics, w.layout.topicARN(t.Name))
		}
	}
	return queues, topics
}

// deadLettered are where a worker itself sends dead letters: those of its queues and of its paths. What cannot be
// delivered to a queue, or to others, is SNS's to send.
func (w *permissions) deadLettered() []string {
	arns := []string{}
	for _, q := range w.layout.queues {
		if q.DLQ != "" && !q.Unmanaged {
			arns = append(arns, w.layout.queueARN(q.DLQ))
		}
	}
	for _, s := range w.layout.subscriptions {
		if s.Served && s.DLQ != "" {
			arns = append(arns, w.layout.queueARN(s.DLQ))
		}
	}
	return arns
}

// any is everywhere when there is a subscription at all.
func (w *permissions) any() []string {
	if len(w.layout.subscriptions) == 0 {
		return nil
	}
	return everywhere
}

// resubscribe lets a worker subscribe the paths that are declared so, and nothing else: whoever takes over
// a worker must not have the topics delivered to himself. Source: "Actions, resources, and condition keys
// for Amazon SNS", Service Authorization Reference.
func (w *permissions) resubscribe() {
	again := func(s Subscription) bool { return s.Resubscribe }
	topics := w.servedTopics(again)
	if len(topics) == 0 {
		return
	}
	var endpoints []string
	for _, s := range w.layout.subscriptions {
		if s.Served && again(s) {
			endpoints = append(endpoints, s.Endpoint)
		}
	}
	slices.Sort(endpoints)
	w.allow("SubscribeAgain", topics, "sns:Subscribe")
	w.all[len(w.all)-1].Condition = map[string]map[string][]string{"StringEquals": {"sns:Endpoint": slices.Compact(endpoints)}}
}

func (w *permissions) servedTopics(which func(Subscription) bool) (arns []string) {
	for _, s := range w.layout.subscriptions {
		if s.Served && which(s) {
			arns = append(arns, w.layout.topicARN(s.Topic))
		}
	}
	return arns
}

func (w *permissions) operator() {
	a := w.layout.account
	w.allow("LookAtQueues", []string{a.QueueARN("*")}, "sqs:GetQueueUrl", "sqs:GetQueueAttributes") // what a subscription of somebody's leads to
	w.allow("LookIntoQueues", w.queues, "sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ListQueueTags", "sqs:ListDeadLetterSourceQueues", "sqs:ListMessageMoveTasks")
	w.allow("LookAtTopics", w.topics, "sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic", "sns:ListTagsForResource")
	w.allow("LookForTopics", []string{a.TopicARN("*")}, "sns:GetTopicAttributes") // by which something of ours is subscribed
	w.allow("Look", everywhere, "sns:GetSubscriptionAttributes", "sns:ListSubscriptions", "sns:ListTopics", "sqs:ListQueues",
		"cloudwatch:GetMetricData", "cloudwatch:DescribeAlarms", "cloudwatch:DescribeAlarmsForMetric")
	if w.owner != "" { // plan --prune
		w.lookForUnwanted()
	}
	w.keys("LookAtKeys", slices.Concat(w.queueKeys(nil), w.topicKeys(nil)), "kms:DescribeKey", "kms:GetKeyPolicy")
}

// canary lets make and delete what has the name of a canary, and subscribe nothing else: whoever has the role
// must not have the topics delivered to himself. IAM cannot confine sns:Unsubscribe. Source: "Actions,
// resources, and condition keys for Amazon SNS", Service Authorization Reference.
func (w *permissions) canary() {
	a := w.layout.account
	queues, topics := []string{a.QueueARN(CanaryPrefix + "*")}, []string{a.TopicARN(CanaryPrefix + "*")}
	w.allow("MakeCanaryQueues", queues, "sqs:CreateQueue", "sqs:SetQueueAttributes", "sqs:ReceiveMessage", "sqs:DeleteQueue")
	w.allow("MakeCanaryTopics", topics, "sns:CreateTopic", "sns:DeleteTopic")
	w.allow("SendCanaries", slices.Concat(w.topics, topics), "sns:Publish")
	w.allow("SubscribeCanaries", slices.Concat(w.topics, topics), "sns:Subscribe")
	w.all[len(w.all)-1].Condition = map[string]map[string][]string{"StringLike": {"sns:Endpoint": queues}}
	w.allow("UnsubscribeCanaries", everywhere, "sns:Unsubscribe")
	w.keys("UseKeys", slices.Concat(w.queueKeys(nil), w.topicKeys(nil)), "kms:Decrypt", "kms:GenerateDataKey*")
}

// lookForUnwanted is what Unwanted asks of queues and topics that nobody has named.
func (w *permissions) lookForUnwanted() {
	a := w.layout.account
	w.allow("LookAtAllQueues", []string{a.QueueARN("*")}, "sqs:GetQueueAttributes", "sqs:ListQueueTags", "sqs:ListDeadLetterSourceQueues")
	w.allow("LookAtAllTopics", []string{a.TopicARN("*")}, "sns:GetTopicAttributes", "sns:ListTagsForResource", "sns:ListSubscriptionsByTopic")
}

func (w *permissions) replayer() {
	w.allow("TakeDeadLetters", w.dead, "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility",
		"sqs:StartMessageMoveTask", "sqs:CancelMessageMoveTask", "sqs:ListMessageMoveTasks")
	w.allow("SendBack", w.worked, "sqs:SendMessage")
	w.allow("FindQueues", w.queues, "sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ListDeadLetterSourceQueues")
	w.allow("FindSubscriptions", everywhere, "sns:ListSubscriptions", "sns:GetSubscriptionAttributes")
	w.keys("Keys", w.queueKeys(nil), "kms:Decrypt", "kms:GenerateDataKey")
}

func (w *permissions) provisioner(prune bool) {
	w.allow("FindQueues", w.queues, "sqs:GetQueueUrl", "sqs:GetQueueAttributes")
	w.allow("LayQueues", w.ourQueues, "sqs:CreateQueue", "sqs:SetQueueAttributes", "sqs:TagQueue", "sqs:ListQueueTags")
	w.allow("FindTopics", w.topics, "sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic", "sns:Subscribe")
	w.allow("LayTopics", w.ours, "sns:CreateTopic", "sns:SetTopicAttributes", "sns:TagResource", "sns:ListTagsForResource")
	w.allow("LaySubscriptions", w.any(), "sns:GetSubscriptionAttributes", "sns:SetSubscriptionAttributes")
	if prune {
		a := w.layout.account
		w.allow("FindWhatIsUnwanted", everywhere, "sqs:ListQueues", "sns:ListTopics", "sns:ListSubscriptions", "sns:Unsubscribe", "sns:GetSubscriptionAttributes")
		w.lookForUnwanted()
		w.allow("PruneQueues", []string{a.QueueARN("*")}, "sqs:DeleteQueue")
		w.all[len(w.all)-1].Condition = map[string]map[string][]string{"StringEquals": {"aws:ResourceTag/" + OwnerTag: {w.owner}}}
		w.allow("PruneTopics", []string{a.TopicARN("*")}, "sns:DeleteTopic") // SNS knows no condition on tags
	}
	w.keys("LookAtKeys", slices.Concat(w.queueKeys(nil), w.topicKeys(nil)), "kms:DescribeKey", "kms:GetKeyPolicy")
	roles := map[string]bool{}
	for _, t := range w.layout.ordered {
		for name, value := range t.Attributes {
			if strings.HasSuffix(name, "FeedbackRoleArn") && value != "" {
				roles[value] = true
			}
		}
	}
	for _, s := range w.layout.subscriptions {
		if s.Role != "" {
			roles[s.Role] = true
		}
	}
	if len(roles) > 0 {
		w.all = append(w.all, permission{
			Sid: "PassRole", Effect: "Allow", Action: []string{"iam:PassRole"}, Resource: slices.Sorted(maps.Keys(roles)),
			Condition: map[string]map[string][]string{"StringEquals": {"iam:PassedToService": {iampolicy.SNS}}},
		})
	}
}

// queueKeys are the keys of queues; of some of them, given by their ARNs, or of all.
func (w *permissions) queueKeys(of []string) (keys []string) {
	for _, q := range w.layout.queues {
		if key := q.Attributes[attrKey]; key != "" && (of == nil || slices.Contains(of, w.layout.queueARN(q.Name))) {
			keys = append(keys, key)
		}
	}
	return keys
}

// topicKeys are the keys of topics; of some of them, given by their ARNs, or of all.
func (w *permissions) topicKeys(of []string) (keys []string) {
	for _, t := range w.layout.ordered {
		if key := t.Attributes[attrKey]; key != "" && (of == nil || slices.Contains(of, w.layout.topicARN(t.Name))) {
			keys = append(keys, key)
		}
	}
	return keys
}

// keys lets use keys, given as an ARN, an id or an alias. IAM knows no alias as a resource, so those are
// said by a condition.
func (w *permissions) keys(sid string, keys []string, actions ...string) {
	var arns, aliases []string
	for _, key := range slices.Compact(slices.Sorted(slices.Values(keys))) {
		switch {
		case strings.HasPrefix(key, "alias/"):
			aliases = append(aliases, key)
		case awsarn.Is(key) && strings.Contains(key, ":alias/"):
			aliases = append(aliases, key[strings.Index(key, "alias/"):])
		case awsarn.Is(key):
			arns = append(arns, key)
		default:
			arns = append(arns, w.layout.account.arn("kms", "key/"+key))
		}
	}
	w.allow(sid, arns, slices.Clone(actions)...)
	if len(aliases) > 0 {
		w.all = append(w.all, permission{
			Sid: sid + "ByAlias", Effect: "Allow", Action: slices.Sorted(slices.Values(actions)), Resource: []string{w.layout.account.arn("kms", "key/*")},
			Condition: map[string]map[string][]string{"ForAnyValue:StringEquals": {"kms:ResourceAliases": aliases}},
		})
	}
}
