package worker

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stationmaster/worker/doctor"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/internal/config"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// Checkup says how much Operator.Examine looks at.
type Checkup struct {
	// Samples are messages as they are published.
	Samples []doctor.Sample
	// Grace is how long a worker has before it is killed, 0 when nobody has said.
	Grace time.Duration
	// Permissions: the caller has the worker's role, so that its permissions can be tried.
	Permissions bool
	// Canary sends a message along each line, to queues of its own; CanaryWait is how long one may take.
	Canary     bool
	CanaryWait time.Duration
	// Step is told what the canaries do; it may be called from several goroutines at once.
	Step func(text string)
}

// Examine reads everything back and says where a message would derail. It changes nothing; a canary makes
// and deletes its own queue, subscription and, where it has to, topic.
func (p *Operator) Examine(ctx context.Context, c Checkup) (*doctor.Report, error) {
	wanted := p.wanted()
	state, err := wanted.Observe(ctx, p.api, p.account, topology.ObserveOptions{})
	if err != nil {
		return nil, withWay(err)
	}
	o := doctor.Options{
		Topology: wanted, State: state, Work: workOf(p.loaded.Config, p.jobs), Drain: p.loaded.Config.Worker.DrainTimeout, Grace: c.Grace,
		Samples: c.Samples, Local: p.settle == 0,
	}
	if endpoint := aws.ToString(p.cfg.BaseEndpoint); !isAWS(endpoint) {
		o.Endpoint = endpoint
	}
	if !o.Local {
		inspector := awsapi.NewInspector(p.cfg)
		o.Keys, o.Alarms = &keys{inspector, map[string]doctor.Key{}}, alarms{inspector}
	}
	if c.Permissions {
		o.Rights = rights{p.api}
	}
	r, err := doctor.Examine(ctx, o)
	if err != nil || !c.Canary {
		return r, err
	}
	canary := doctor.Canary{
		AWS: p.api, Settle: p.settle, Wait: c.CanaryWait, Samples: c.Samples, Step: c.Step,
		Receiver: func(url string) queue.Receiver { return p.api.Queue(url, awsapi.QueueOptions{Visibility: time.Minute}) },
	}
	r.Proofs = canary.Prove(ctx, o)
	return r, ctx.Err()
}

// workOf is how the worker treats its queues, by their names.
func workOf(c config.Config, registered *jobs.Registry) map[string]doctor.Work {
	all := make(map[string]doctor.Work, len(c.Queues))
	for key, q := range c.Queues {
		w := doctor.Work{
			Visibility: q.VisibilityTimeout, Wait: q.WaitTime, Attempts: max(q.Retry.Attempts, 1), Slots: q.Slots,
			ByAttribute: strings.HasPrefix(q.Kind, "attribute:"),
		}
		for attempt := 1; attempt < w.Attempts; attempt++ {
			w.Retries += q.Retry.Bound(attempt)
		}
		w.Timeout, w.Unbounded = timeoutOf(q, registered)
		all[queueOf(key, q).Name] = w
	}
	return all
}

// timeoutOf is what bounds one attempt on a queue: its own timeout, or the longest that its jobs ask for. It
// is 0 where nothing does; unbounded tells whether one of its jobs has none, or none that is known here,
// though another has.
func timeoutOf(q config.Queue, registered *jobs.Registry) (longest time.Duration, unbounded bool) {
	if q.Timeout > 0 {
		return q.Timeout, false
	}
	names := slices.Collect(maps.Values(q.Jobs))
	if q.Job != "" {
		names = append(names, q.Job)
	}
	for _, name := range names {
		d, known := registered.Lookup(name)
		if !known || d.Timeout() == 0 {
			unbounded = true
			continue
		}
		longest = max(longest, d.Timeout())
	}
	return longest, unbounded && longest > 0
}

// keys asks KMS, once for each key.
type keys struct {
	*awsapi.Inspector
	known map[string]doctor.Key
}

// Key implements doctor.Keys.
func (k *keys) Key(ctx context.Context, id string) (doctor.Key, error) {
	if known, ok := k.known[id]; ok {
		return known, nil
	}
	found, err := k.Inspector.Key(ctx, id)
	if err != nil {
		return doctor.Key{}, err
	}
	key := doctor.Key{ARN: found.ARN, State: found.State, AWS: found.Manager == "AWS"}
	key.Policy, key.PolicyErr = k.KeyPolicy(ctx, found.ARN)
	k.known[id] = key
	return key, nil
}

// alarms asks CloudWatch.
type alarms struct{ *awsapi.Inspector }

// AlarmsOn implements doctor.Alarms.
func (a alarms) AlarmsOn(ctx context.Context, metric, queue string) ([]doctor.Alarm, error) {
	found, err := a.Inspector.AlarmsOn(ctx, metric, queue)
	all := make([]doctor.Alarm, len(found))
	for i, f := range found {
		all[i] = doctor.Alarm{Name: f.Name, Enabled: f.Enabled, Actions: len(f.Actions)}
	}
	return all, err
}

// rights tries permissions by calls that cannot do anything.
type rights struct{ api *awsapi.Client }

// Denied implements doctor.Rights.
func (r rights) Denied(ctx context.Context, url string, send bool) (denied []string, err error) {
	q := r.api.Queue(url, awsapi.QueueOptions{})
	tries := map[string]func(context.Context) error{"sqs:SendMessage": q.MaySend}
	if !send {
		tries = map[string]func(context.Context) error{"sqs:DeleteMessage": q.MayDelete, "sqs:ChangeMessageVisibility": q.MayChangeVisibility}
	}
	for _, action := range []string{"sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:SendMessage"} {
		if try := tries[action]; try != nil && errors.Is(try(ctx), queue.ErrDenied) {
			denied = append(denied, action)
		}
	}
	return denied, ctx.Err()
}
