package topology

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/internal/pause"
	"github.com/stationmaster/worker/queue"
)

// queues creates those that are missing, dead-letter queues first, and then sets what differs, in
// the same order. Nothing but what can only be said at creation is said there: a CreateQueue with
// other attributes than the queue's own is an error. A queue whose name is not free yet is left to
// names, and so is one whose dead-letter queue it is.
func (a *applier) queues(ctx context.Context) error {
	made := len(a.created)
	for _, q := range a.layout.queues {
		if err := a.findOrCreate(ctx, q); err != nil {
			return err
		}
	}
	if a.want.Settle > 0 && len(a.created) > made {
		// "You must wait at least one second after the queue is created." (CreateQueue, API reference)
		if err := pause.For(ctx, time.Second); err != nil {
			return err
		}
	}
	for _, q := range a.layout.queues {
		if q.Unmanaged || a.set[q.Name] || a.late[q.Name] != nil {
			continue
		}
		if dlq, ok := a.layout.byName[q.DLQ]; ok && !dlq.Unmanaged && !a.set[q.DLQ] {
			continue
		}
		work := func() error {
			if err := a.setQueue(ctx, q); err != nil {
				return err
			}
			return a.tagQueue(ctx, q)
		}
		if err := a.counted(work, a.created[q.Name]); err != nil {
			return err
		}
		a.set[q.Name] = true
	}
	return nil
}

// findOrCreate makes sure of a queue once.
func (a *applier) findOrCreate(ctx context.Context, q Queue) error {
	if a.result.URLs[q.Name] != "" {
		return nil
	}
	url, err := findQueue(ctx, a.aws, q)
	if errors.Is(err, queue.ErrNotFound) && !q.Unmanaged {
		if url, err = a.create(ctx, q); err == nil {
			a.created[q.Name] = true
			a.changed("queue", q.Name, "create", a.layout.whyCreate(q), details(a.layout.attributes(q))...)
		}
	}
	if deletedRecently(err) {
		a.late[q.Name] = err
		return nil
	}
	if err != nil {
		return q.withOwner(err)
	}
	delete(a.late, q.Name)
	a.result.URLs[q.Name] = url
	return nil
}

// create makes a queue.
func (a *applier) create(ctx context.Context, q Queue) (url string, err error) {
	url, err = a.aws.CreateQueue(ctx, q.Name, immutable(q.Name, attrFIFOQueue), a.tagsOf(q.Tags))
	if errors.Is(err, queue.ErrRejected) && !deletedRecently(err) {
		// Another one may have made it meanwhile.
		if there, findErr := findQueue(ctx, a.aws, q); findErr == nil {
			return there, nil
		}
	}
	return url, err
}

const (
	// recreateAfter is for how long SQS refuses the name of a deleted queue, and as long again in case
	// its clock is behind. Source: DeleteQueue, SQS API reference: "at least 60 seconds".
	recreateAfter = 2 * time.Minute
	// recreateEvery is how often it is asked.
	recreateEvery = 5 * time.Second
)

// names makes the queues whose names were not free, and sets what waited for them.
func (a *applier) names(ctx context.Context) error {
	for began := time.Now(); len(a.late) > 0; {
		first := a.layout.queues[slices.IndexFunc(a.layout.queues, func(q Queue) bool { return a.late[q.Name] != nil })].Name
		if time.Since(began) >= recreateAfter {
			return a.late[first]
		}
		w := wait{"queue " + first, "SQS has to forget the queue of this name that was deleted", began, recreateAfter}
		if n := len(a.late); n > 1 {
			w.name, w.what = fmt.Sprintf("%s and %d more", w.name, n-1), "SQS has to forget the queues of these names that were deleted"
		}
		if err := a.pause(ctx, w, recreateEvery); err != nil {
			return err
		}
		if err := a.queues(ctx); err != nil {
			return err
		}
	}
	return nil
}

// deletedRecently reads the code, which has a prefix where the server speaks the older protocol too.
func deletedRecently(err error) bool {
	coded, ok := errors.AsType[interface {
		error
		ErrorCode() string
	}](err)
	return ok && strings.HasSuffix(coded.ErrorCode(), "QueueDeletedRecently")
}

// findQueue returns the URL of a queue that exists; only a queue given by its URL is taken at its
// word.
func findQueue(ctx context.Context, aws QueueReader, q Queue) (string, error) {
	switch {
	case q.URL != "":
		return q.URL, nil
	case q.ARN != "":
		return aws.QueueURL(ctx, awsarn.Name(q.ARN), awsarn.Parse(q.ARN).Account)
	}
	return aws.QueueURL(ctx, q.Name, "")
}

// setQueue sets what differs in one request: the policy stands in it, so there is no moment in
// which the queue has its other attributes and lets SNS in, or the reverse.
func (a *applier) setQueue(ctx context.Context, q Queue) error {
	url := a.result.URLs[q.Name]
	have, err := a.readNew(ctx, q.Name, url)
	if err != nil {
		return err
	}
	policy, granted, err := a.layout.policy(q.Name, have[attrPolicy])
	if err != nil {
		return fmt.Errorf("queue %s: %w", q.Name, err)
	}
	set, names := difference(have, a.layout.attributes(q))
	if len(granted) > 0 {
		set[attrPolicy] = policy
	}
	if len(set) == 0 {
		a.looked(q.Name, have)
		return nil
	}
	if err := a.aws.SetQueueAttributes(ctx, url, set); err != nil {
		return err
	}
	a.touched[q.Name], a.lastSet = set, time.Now()
	for _, name := range names {
		if !a.created[q.Name] { // "create" has said it all
			a.changed("queue", q.Name, describe(name, have[name], set[name]), whyQueue(name, set[name]))
		}
	}
	for _, topic := range granted {
		a.changed("policy", q.Name, "allow topic "+topic+" to send", "without it SNS throws away what the topic sends here")
	}
	return nil
}

// tagQueue sets the declared tags of a queue that was there before.
func (a *applier) tagQueue(ctx context.Context, q Queue) error {
	if a.created[q.Name] || len(q.Tags) == 0 {
		return nil
	}
	url := a.result.URLs[q.Name]
	tags, err := a.aws.QueueTags(ctx, url)
	if err != nil {
		return err
	}
	return a.tag("queue", q.Name, tags, q.Tags, func(missing map[string]string) error { return a.aws.TagQueue(ctx, url, missing) })
}

// looked remembers when a queue that topics send to was changed, by whomever: the run before may
// have ended, or been ended, a moment ago.
func (a *applier) looked(name string, have map[string]string) {
	unix, err := strconv.ParseInt(have[attrModified], 10, 64)
	if err != nil || len(a.layout.senders[name]) == 0 {
		return
	}
	a.modified[name] = time.Unix(unix, 0)
}

// knownWithin is how long a queue that was created a moment ago may be unknown to the server that is
// asked.
const knownWithin = 30 * time.Second

// readNew reads the attributes of a queue, and waits for a new one to be known.
func (a *applier) readNew(ctx context.Context, name, url string) (map[string]string, error) {
	for began := time.Now(); ; {
		have, err := a.aws.QueueAttributes(ctx, url)
		if !errors.Is(err, queue.ErrNotFound) || !a.created[name] || a.want.Settle <= 0 || time.Since(began) >= knownWithin {
			return have, err
		}
		if err := a.pause(ctx, wait{"queue " + name, "SQS has to know the new queue everywhere", began, knownWithin}, time.Second); err != nil {
			return nil, err
		}
	}
}

// withOwner adds the way out to the error of finding somebody else's queue.
func (q Queue) withOwner(err error) error {
	if q.Unmanaged && errors.Is(err, queue.ErrNotFound) {
		return fmt.Errorf("%w; it is not managed here (manage = false): ask its owner, or correct its name, url or arn", err)
	}
	return err
}
