package worker

import (
	"context"
	"fmt"
	"sync"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/publish"
	"github.com/stationmaster/worker/queue"
)

// opened is a job that runs in this process. It is set up when the first message comes: a plan needs no
// server of a job.
type opened struct {
	open func(ctx context.Context) (*jobs.Instance, error)

	mu       sync.Mutex
	instance *jobs.Instance
}

func (j *opened) get(ctx context.Context) (*jobs.Instance, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.instance != nil {
		return j.instance, nil
	}
	i, err := j.open(ctx)
	if err != nil {
		return nil, err
	}
	j.instance = i
	return i, nil
}

func (j *opened) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.instance == nil {
		return nil
	}
	return j.instance.Close()
}

// jobDestination runs a job of this program on what it takes: what succeeds is accepted.
func (r *Replay) jobDestination(name string) (*dlqreplay.Destination, error) {
	definition, err := r.definition(name)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	j := r.opened[name]
	if j == nil {
		j = &opened{open: func(ctx context.Context) (*jobs.Instance, error) {
			lender := publish.New(publish.Options{
				Topics: r.op.api, Names: topicNames(r.op.loaded.Config), Queues: r.op.sender,
				Partition: r.op.account.Partition, Region: r.op.account.Region, Account: r.op.account.ID,
			})
			return definition.Open(ctx, func(into any) error { return r.op.loaded.DecodeJob(name, into) },
				&jobs.Env{Job: name, Log: r.log.With("job", name), Publisher: lender}, r.o.Middleware...)
		}}
		r.opened[name] = j
	}
	return &dlqreplay.Destination{
		Name: "job " + name, FIFO: r.at.fifo(), MaxBytes: 2 * queue.MaxBytes, Unchanged: true,
		Taker: &jobTaker{r: r, name: name, job: j},
	}, nil
}

// RunHere is the job of a letter, as the record or the configuration names it, as a destination; name is
// its name, if the caller knows it.
func (r *Replay) RunHere(l *dlqreplay.Letter, name string) (*dlqreplay.Destination, error) {
	if name = or(name, l.Job); name == "" {
		return nil, &exitError{fmt.Sprintf("dead letter %s: nothing tells its job: say --to %sNAME", l.MessageID, ToJob), 2}
	}
	return r.jobDestination(name)
}

// jobTaker hands messages to a job.
type jobTaker struct {
	r    *Replay
	name string
	job  *opened
}

// Take implements dlqreplay.Taker. The id of what a job has done is the one that it had.
func (t *jobTaker) Take(ctx context.Context, ls []*dlqreplay.Letter, ms []queue.Message) (ids []string, errs []error) {
	ids = make([]string, len(ms))
	instance, err := t.job.get(ctx)
	if err != nil {
		return ids, queue.Each(&jobError{err}, len(ms))
	}
	errs = make([]error, len(ms))
	for first := 0; first < len(ms); first += max(instance.Batch(), 1) {
		end := min(first+max(instance.Batch(), 1), len(ms))
		infos := make([]*jobs.Info, 0, end-first)
		for i := first; i < end; i++ {
			infos = append(infos, t.r.info(ls[i], &ms[i]))
		}
		for i, err := range t.run(ctx, instance, infos) {
			if errs[first+i] = err; err == nil {
				ids[first+i] = ls[first+i].MessageID
			}
		}
	}
	return ids, errs
}

// jobError is a job's refusal. It is final: whatever the job was told by others is no answer of ours.
type jobError struct{ err error }

func (e *jobError) Error() string { return e.err.Error() }

// Is classes it.
func (e *jobError) Is(class error) bool { return class == queue.ErrRejected }

// run bounds a run as a worker would.
func (t *jobTaker) run(ctx context.Context, instance *jobs.Instance, infos []*jobs.Info) []error {
	bound := instance.Timeout()
	for _, s := range specsOf(t.r.op.loaded.Config) {
		if s.queue.Name == infos[0].Queue && s.timeout > 0 {
			bound = s.timeout
		}
	}
	if bound > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, bound, fmt.Errorf("the job took longer than %v", bound))
		defer cancel()
	}
	errs := instance.Run(ctx, infos)
	all := make([]error, len(infos))
	for i := range all {
		if err := queue.At(errs, i); err != nil {
			all[i] = &jobError{err}
		}
	}
	return all
}

// info is a letter as its job sees it: a first attempt.
func (r *Replay) info(l *dlqreplay.Letter, m *queue.Message) *jobs.Info {
	i := jobs.Read(&queue.Delivery{
		Message: *m, MessageID: l.MessageID, Receives: l.Receives, Sent: l.Sent, FirstReceived: l.FirstReceived, SourceARN: l.SourceARN,
	})
	i.Attempt = 1
	i.Queue = or(r.sourceName(l), r.at.name)
	return i
}

// sourceName is the queue that a letter came from; empty when nothing tells.
func (r *Replay) sourceName(l *dlqreplay.Letter) string {
	if l.SourceARN != "" {
		name, _ := ofARN(l.SourceARN)
		return name
	}
	for _, s := range r.sources {
		if l.Record.Origin == s.name {
			return s.name
		}
	}
	switch {
	case len(r.sources) == 1 && l.Kind != dlqreplay.Undelivered:
		return r.sources[0].name
	case len(r.subs) == 1 && r.subs[0].Protocol == queueProtocol:
		return endpointName(r.subs[0])
	}
	return ""
}

// jobOf names the job of a letter that does not say: of its queue, by the message's kind.
func (r *Replay) jobOf(l *dlqreplay.Letter, m *queue.Message) string {
	if n, ok := queue.ReadNotification(m.Body); ok && len(r.subs) > 1 {
		r.mu.Lock()
		r.topics[l.MessageID] = n.TopicARN
		r.mu.Unlock()
	}
	if l.Kind == dlqreplay.Undelivered {
		if sub, err := r.subscriptionOf(l); err == nil && sub.job != "" {
			return sub.job
		}
	}
	name := r.sourceName(l)
	if name == "" {
		return ""
	}
	for _, s := range specsOf(r.op.loaded.Config) {
		if s.queue.Name != name {
			continue
		}
		if len(s.kinds) == 0 {
			return s.job
		}
		kind, _ := r.info(l, m).Kind(s.rule)
		return s.kinds[kind]
	}
	return ""
}

// check decodes a letter's message as its job here would.
func (r *Replay) check(l *dlqreplay.Letter, m *queue.Message) error {
	name := l.Job
	if t, isJob := r.explicitJob(); isJob {
		name = t
	}
	d, ok := r.o.Jobs.Lookup(name)
	if !ok {
		return dlqreplay.ErrUnchecked
	}
	return d.Check(r.info(l, m))
}

func (r *Replay) explicitJob() (name string, ok bool) {
	if r.explicit == nil {
		return "", false
	}
	t, ok := r.explicit.Taker.(*jobTaker)
	if !ok {
		return "", false
	}
	return t.name, true
}
