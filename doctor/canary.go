package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/internal/pause"
	"github.com/stationmaster/worker/internal/snsfilter"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// Publisher publishes.
type Publisher interface {
	Publish(ctx context.Context, topicARN string, m queue.Message) (id string, err error)
}

// Services are what a canary needs of AWS. It makes its own queue, and deletes it again.
type Services interface {
	topology.QueueWriter
	topology.TopicWriter
	topology.SubscriptionWriter
	topology.Deleter
	Publisher
}

// Canary sends a real message along each line that leads to a queue, to a queue of its own beside the
// real one: with the same encryption, the same policy and the same kind. The work queues never get it:
//
//   - where the filters of all other subscriptions of the topic keep it away, it is published to the
//     topic itself, and a filter of its own lets it through to the canary's queue only;
//   - else to a copy of the topic, with the same encryption, to which the canary's queue is subscribed
//     with the attributes of the real subscription. The filter is satisfied by a sample, or by a
//     message that is made up.
//
// What it made is deleted at the end, also when ctx ends.
type Canary struct {
	AWS Services
	// Receiver receives from the queue at url.
	Receiver func(url string) queue.Receiver
	// Settle is how long new queues are left alone, so that their policies spread; Wait is how long a
	// message may take.
	Settle, Wait time.Duration
	Samples      []Sample
	// Step is told what happens; it may be called from several goroutines at once.
	Step func(text string)
}

// Proof is how one line did.
type Proof struct {
	Line string `json:"line"` // "orders → mail"
	// Copy: the message went by a copy of the topic, since the topic itself would have given it to others.
	Copy    bool `json:"copy"`
	Arrived bool `json:"arrived"`
	// Took is from the publish to the arrival.
	Took time.Duration `json:"took_ns,omitempty"`
	// Err says why it could not be tried, or what it left behind.
	Err error  `json:"-"`
	Why string `json:"why,omitempty"`
}

const (
	marker   = "stationmaster_canary"
	canaries = 8 // at once
	cleanup  = 30 * time.Second
	again    = 15 * time.Second // until it is published once more
)

// Prove sends a canary along each line of the topology that is subscribed.
func (c Canary) Prove(ctx context.Context, o Options) []Proof {
	e := newExaminer(o)
	var lines []*line
	for i := range e.lines {
		if l := &e.lines[i]; l.queue != nil && l.queue.Known() && l.have != nil && l.have.Attributes != nil && !l.have.Pending() {
			lines = append(lines, l)
		}
	}
	proofs := make([]Proof, len(lines))
	var g errgroup.Group
	g.SetLimit(canaries)
	for i, l := range lines {
		g.Go(func() error {
			f := &flight{canary: c, account: o.State.Account, line: l, id: strings.ToLower(rand.Text()[:10]), proof: Proof{Line: l.name}}
			f.fly(ctx)
			if f.proof.Err != nil {
				f.proof.Why = f.proof.Err.Error()
			}
			proofs[i] = f.proof
			return nil
		})
	}
	_ = g.Wait() // the proofs say what went wrong
	return proofs
}

// flight is one canary.
type flight struct {
	canary   Canary
	account  topology.Account // the canary's queue is in it
	line     *line
	id       string
	topicARN string // where it is published
	receiver queue.Receiver
	filters  bool // the canary's subscription has a filter
	message  queue.Message
	proof    Proof
	undo     []undo // last first
}

func (f *flight) fly(ctx context.Context) {
	defer f.clean(ctx)
	for _, step := range []func(context.Context) error{f.prepare, f.settle} {
		if err := step(ctx); err != nil {
			f.proof.Err = err
			return
		}
	}
	f.proof.Err = f.send(ctx)
}

// name is that of the canary's queue or topic: of the same kind as the real one.
func (f *flight) name(real string) string {
	if isFIFO(real) {
		return topology.CanaryPrefix + f.id + ".fifo"
	}
	return topology.CanaryPrefix + f.id
}

// prepare makes the queue, and what is subscribed to it.
func (f *flight) prepare(ctx context.Context) error {
	aws, l := f.canary.AWS, f.line
	name := f.name(l.queue.Name)
	attributes := map[string]string{attrRetention: "3600"}
	if isFIFO(name) {
		attributes["FifoQueue"] = "true"
	}
	if key := l.queue.Attributes[attrKey]; key != "" {
		attributes[attrKey] = key
	}
	url, err := aws.CreateQueue(ctx, name, attributes, nil)
	if err != nil {
		return err
	}
	f.later("queue "+name, func(ctx context.Context) error { return aws.DeleteQueue(ctx, url) })
	queueARN := f.account.QueueARN(name) // also where the real one or the topic is somebody else's
	if err := f.choose(ctx); err != nil {
		return err
	}
	if policy := f.policy(queueARN); policy != "" {
		if err := aws.SetQueueAttributes(ctx, url, map[string]string{attrPolicy: policy}); err != nil {
			return err
		}
	}
	wanted := f.subscription()
	f.filters = wanted[attrFilter] != ""
	subscription, err := aws.Subscribe(ctx, f.topicARN, "sqs", queueARN, wanted)
	if err != nil {
		return err
	}
	f.later("subscription "+subscription, func(ctx context.Context) error { return aws.Unsubscribe(ctx, subscription) })
	if isFIFO(f.topicARN) {
		f.message.GroupID = f.id
	}
	f.receiver, f.proof.Copy = f.canary.Receiver(url), f.topicARN != l.topic.ARN
	text := "prepared, " + map[bool]string{true: "by a copy of the topic", false: "by the topic itself"}[f.proof.Copy]
	if f.canary.Settle > 0 {
		text += "; it leaves in " + human(f.canary.Settle) + ", when what was set has spread"
	}
	f.step(text)
	return nil
}

// policy is the real queue's, for this queue and this topic: what keeps messages out there does here. The
// copy of another account's topic is ours, so that the account that is let in has to be ours too.
func (f *flight) policy(queueARN string) string {
	l := f.line
	policy := strings.ReplaceAll(l.queue.Attributes[attrPolicy], l.queue.ARN, queueARN)
	for _, p := range [][2]string{{l.topic.ARN, f.topicARN}, {awsarn.Parse(l.topic.ARN).Account, awsarn.Parse(f.topicARN).Account}} {
		policy = strings.ReplaceAll(policy, `"`+p[0]+`"`, `"`+p[1]+`"`)
	}
	return policy
}

// choose finds the topic and the message: the real one when nobody else would get the message.
func (f *flight) choose(ctx context.Context) error {
	l := f.line
	marked := Sample{Body: compact(map[string]string{marker: f.id}), Attributes: map[string]Attribute{marker: {Type: "String", Value: f.id}}}
	if alone(l.topic, &marked) {
		f.topicARN, f.message = l.topic.ARN, marked.message()
		return nil
	}
	m, err := f.passing()
	if err != nil {
		return err
	}
	f.message = m.message()
	name := f.name(l.topic.Name)
	attributes := map[string]string{}
	if isFIFO(name) {
		attributes["FifoTopic"] = "true"
	}
	if key := l.topic.Attributes[attrKey]; key != "" {
		attributes[attrKey] = key
	}
	if f.topicARN, err = f.canary.AWS.CreateTopic(ctx, name, attributes, nil); err != nil {
		return err
	}
	f.later("topic "+name, func(ctx context.Context) error { return f.canary.AWS.DeleteTopic(ctx, f.topicARN) })
	return nil
}

// alone tells whether all subscriptions of a topic keep a message away.
func alone(t *topology.TopicState, m *Sample) bool {
	if t.ListErr != nil {
		return false
	}
	for _, s := range t.Subscriptions {
		if s.Ended() {
			continue
		}
		filter, scope := filterOf(s.Attributes)
		p, err := snsfilter.Parse(filter, snsfilter.Scope(scope))
		if filter == "" || err != nil || p.Match(m.filtered()) {
			return false
		}
	}
	return true
}

// passing is a message that the real subscription lets through: a sample, or one that is made up.
func (f *flight) passing() (Sample, error) {
	filter, scope := filterOf(f.line.have.Attributes)
	if filter == "" {
		return Sample{Body: compact(map[string]string{marker: f.id})}, nil
	}
	p, err := snsfilter.Parse(filter, snsfilter.Scope(scope))
	if err != nil {
		return Sample{}, fmt.Errorf("filter: %w", err)
	}
	for _, s := range f.canary.Samples {
		if (s.Topic == "" || s.Topic == f.line.topic.Name) && p.Match(s.filtered()) {
			return s, nil
		}
	}
	on := "attributes"
	if scope == scopes["body"] {
		on = "body"
	}
	return Satisfying(filter, on)
}

// subscription are the attributes of the canary's: those of the real one, or a filter of its own.
func (f *flight) subscription() map[string]string {
	have := f.line.have.Attributes
	attributes := map[string]string{}
	if have[attrRaw] == "true" {
		attributes[attrRaw] = "true"
	}
	if f.topicARN == f.line.topic.ARN {
		attributes[attrFilter] = compact(map[string][]string{marker: {f.id}})
		attributes[attrScope] = scopes["attributes"]
	} else if filter, scope := filterOf(have); filter != "" {
		attributes[attrFilter], attributes[attrScope] = filter, scope
	}
	return attributes
}

func (m *Sample) message() queue.Message {
	out := queue.Message{Body: m.Body, Attributes: make(map[string]queue.Attribute, len(m.Attributes))}
	for name, a := range m.Attributes {
		if strings.HasPrefix(a.Type, "Binary") {
			out.Attributes[name] = queue.Attribute{Type: a.Type, Binary: []byte(a.Value)}
		} else {
			out.Attributes[name] = queue.Attribute{Type: a.Type, Text: a.Value}
		}
	}
	return out
}

// settle waits until what was set has spread.
func (f *flight) settle(ctx context.Context) error { return pause.For(ctx, f.canary.Settle) }

// send publishes until the message is there, or its time is over.
func (f *flight) send(ctx context.Context) error {
	until := time.Now().Add(f.canary.Wait)
	for n := 1; ; n++ {
		if isFIFO(f.topicARN) {
			f.message.DeduplicationID = fmt.Sprintf("%s-%d", f.id, n)
		}
		sent := time.Now()
		if _, err := f.canary.AWS.Publish(ctx, f.topicARN, f.message); err != nil {
			return err
		}
		for next := sent.Add(again); ; {
			got, err := f.receiver.Receive(ctx, 1, time.Second)
			if err != nil {
				return err
			}
			if len(got) > 0 {
				f.proof.Arrived, f.proof.Took = true, time.Since(sent)
				f.step("arrived")
				return nil
			}
			if now := time.Now(); now.After(until) {
				f.proof.Why = fmt.Sprintf("published %d times, and nothing arrived within %s", n, human(f.canary.Wait))
				if f.filters && f.canary.Settle > 0 {
					f.proof.Why += "; a new filter may take up to 15 minutes: wait for longer before you believe it"
				}
				f.step("did not arrive")
				return nil
			} else if now.After(next) {
				break
			}
		}
	}
}

// undo deletes one thing that was made.
type undo struct {
	what   string
	delete func(context.Context) error
}

func (f *flight) later(what string, remove func(context.Context) error) {
	f.undo = append(f.undo, undo{what, remove})
}

// clean deletes what was made, last first: the subscription goes before its queue.
func (f *flight) clean(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
	defer cancel()
	for _, u := range slices.Backward(f.undo) {
		if err := u.delete(ctx); err != nil {
			f.proof.Err = errors.Join(f.proof.Err, fmt.Errorf("left behind: %s: %w", u.what, err))
		}
	}
}

func (f *flight) step(text string) {
	if f.canary.Step != nil {
		f.canary.Step(f.line.name + ": " + text)
	}
}
