package config

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// queue checks one queue; path is its key path, key its name in the file.
func (c *checker) queue(path, key string, q Queue) {
	c.key(path, key)
	c.work(path, q)
	c.address(path, q)
	c.tags(path, q.Tags)
	between(c, path+".slots", q.Slots, 1, mostSlots)
	if q.Prefetch != Auto {
		between(c, path+".prefetch", q.Prefetch, 0, 10_000)
	}
	if q.Receivers != Auto {
		between(c, path+".receivers", q.Receivers, 1, 1000)
	}
	c.pace(path, q)
	c.times(path, q)
	c.retries(path, q)
	c.deadLetters(path, q)
	c.queueSettings(path, q)
}

// pace checks what holds a queue's messages up.
func (c *checker) pace(path string, q Queue) {
	const mostWeight, mostRate = 1000, 100_000
	switch budget := c.config.Worker.Budget; {
	case budget == 0 && q.Weight != 0:
		c.addf(path+".weight", "is a part of worker.budget, and there is none: add one or remove it")
	case budget > 0:
		between(c, path+".weight", q.Weight, 1, mostWeight)
	}
	between(c, path+".rate", q.Rate, 0, mostRate)
	if wait := float64(q.Slots) / q.Rate; q.Rate > 0 && wait > 60 {
		c.warnings.addf(path+".rate", "%v a second lets the last of %d slots wait for %.0f seconds: lower slots", q.Rate, q.Slots, wait)
	}
	between(c, path+".suspect_after", q.SuspectAfter, 0, mostReceives)
	if q.SuspectAfter > 0 && q.SuspectAfter < q.Retry.Attempts {
		c.warnings.addf(path+".suspect_after", "%d is less than retry.attempts, %d: ordinary retries beyond it run one at a time", q.SuspectAfter, q.Retry.Attempts)
	}
	if q.SuspectAfter >= q.MaxReceiveCount {
		c.warnings.addf(path+".suspect_after", "%d is never reached: SQS moves a message after %d receives (max_receive_count)", q.SuspectAfter, q.MaxReceiveCount)
	}
	if q.Paused {
		c.warnings.addf(path+".paused", "is true: the queue is not polled until it is resumed")
	}
}

// work checks what a queue's messages are for.
func (c *checker) work(path string, q Queue) {
	switch {
	case q.Job != "" && len(q.Jobs) > 0:
		c.addf(path+".jobs", "stands beside job: keep job for one kind of message, jobs for several")
	case q.Job == "" && len(q.Jobs) == 0:
		c.addf(path+".job", `is missing: name the job that handles its messages%s`, c.registered())
	}
	switch {
	case len(q.Jobs) > 0 && q.Kind == "":
		c.addf(path+".kind", `is missing beside jobs: say where the kind is read, "body:event" or "attribute:job"`)
	case len(q.Jobs) == 0 && q.Kind != "":
		c.addf(path+".kind", "says how to choose among jobs, and there are none: add jobs or remove it")
	case q.Kind != "":
		where, name, _ := strings.Cut(q.Kind, ":")
		if (where != "body" && where != "attribute") || name == "" {
			c.addf(path+".kind", `%q must be "body:" and a field, or "attribute:" and its name: write it like "body:event"`, q.Kind)
		}
	}
	if q.Job != "" {
		c.known(path+".job", q.Job)
	}
	for _, kind := range slices.Sorted(maps.Keys(q.Jobs)) {
		c.known(join(path+".jobs", kind), q.Jobs[kind])
	}
}

// address checks what the queue is called and whose it is.
func (c *checker) address(path string, q Queue) {
	switch {
	case q.URL != "" && q.ARN != "":
		c.addf(path+".arn", "stands beside url: keep one of them")
	case q.URL != "" && q.Manage:
		c.addf(path+".url", "is somebody else's queue: add manage = false, or give its name alone")
	case q.ARN != "" && q.Manage:
		c.addf(path+".arn", "is somebody else's queue: add manage = false, or give its name alone")
	}
	if q.URL != "" {
		c.webAddress(path+".url", q.URL)
	}
	if q.ARN != "" && !queueARN.MatchString(q.ARN) {
		c.addf(path+".arn", `%q is no queue's ARN: write it like "arn:aws:sqs:us-east-1:123456789012:name"`, q.ARN)
	}
	c.queueName(path+".name", q.Name)
	c.fifo(path, q.Name, q.FIFO)
	c.deduplication(path, q.ContentDeduplication, q.FIFO, q.Manage)
	if q.DLQ.Name != "" && strings.HasSuffix(q.Name, fifoSuffix) != strings.HasSuffix(q.DLQ.Name, fifoSuffix) {
		c.addf(path+".dlq", "%q must be a FIFO queue exactly if the queue is: its name must end in %s, or not", q.DLQ.Name, fifoSuffix)
	}
	if q.DLQ.Name != "" && (!c.seen[path+".name"] || q.DLQ.Name != suffixed(q.Name, "-dlq")) {
		c.queueName(path+".dlq", q.DLQ.Name)
	}
	if q.DLQ.Name == q.Name {
		c.addf(path+".dlq", "%q is the queue itself: give it a queue of its own", q.DLQ.Name)
	}
}

func (c *checker) queueName(key, name string) {
	if !validQueue.MatchString(name) {
		c.addf(key, "%q must be 1 to 80 letters, digits, - and _: give a name that is", name)
	}
}

// times checks the clocks of a delivery. A job may run longer than the visibility timeout, because
// its lease is extended; a lease shorter than minVisibility leaves no time to do that.
func (c *checker) times(path string, q Queue) {
	const minVisibility = 10 * time.Second
	if q.Manage || q.VisibilityTimeout != 0 {
		c.seconds(path+".visibility_timeout", q.VisibilityTimeout, minVisibility, queue.MaxHeld)
	}
	c.seconds(path+".wait_time", q.WaitTime, time.Second, queue.MaxWait)
	between(c, path+".timeout", q.Timeout, 0, queue.MaxHeld)
	if q.UnknownGrace != 0 {
		between(c, path+".unknown_grace", q.UnknownGrace, retry.MinRest, 14*day)
	}
	if q.Manage && len(q.Jobs) > 0 && q.UnknownGrace >= q.kept() {
		c.addf(path+".unknown_grace", "%s must be less than retention, %s: SQS would delete the message first",
			quoted(q.UnknownGrace), quoted(q.kept()))
	}
	if drain := c.config.Worker.DrainTimeout; q.Timeout > drain {
		c.warnings.addf(path+".timeout", "%s is longer than worker.drain_timeout, %s: a drain may cut a job short and hand its message back",
			quoted(q.Timeout), quoted(drain))
	}
}

func (c *checker) retries(path string, q Queue) {
	const mostAttempts, mostFactor = mostReceives - leaveRoom, 100
	r := q.Retry
	between(c, path+".retry.attempts", r.Attempts, 1, mostAttempts)
	between(c, path+".retry.factor", r.Factor, 1, mostFactor)
	between(c, path+".retry.max", r.Max, time.Millisecond, queue.MaxHeld)
	between(c, path+".retry.first", r.First, time.Millisecond, queue.MaxHeld)
	if r.First > r.Max {
		c.addf(path+".retry.first", "%s must be at most retry.max, %s: lower it or raise max", quoted(r.First), quoted(r.Max))
	}
	if least := r.Attempts + leastRoom; q.MaxReceiveCount < least {
		c.addf(path+".max_receive_count", "%d must be at least retry.attempts + %d = %d: raise it, or SQS moves messages before the worker can say why",
			q.MaxReceiveCount, leastRoom, least)
	}
	between(c, path+".max_receive_count", q.MaxReceiveCount, 1, mostReceives)
}

func (c *checker) deadLetters(path string, q Queue) {
	if !q.Manage {
		c.owners(path, map[string]bool{
			"retention": q.Retention != 0, "dlq_retention": q.DLQRetention != 0, "tags": len(q.Tags) > 0,
		})
		return
	}
	const leastRetention, mostRetention = time.Minute, 14 * day
	if q.Retention != 0 {
		c.seconds(path+".retention", q.Retention, leastRetention, mostRetention)
	}
	c.seconds(path+".dlq_retention", q.DLQRetention, leastRetention, mostRetention)
	if q.DLQRetention < min(q.kept(), mostRetention) {
		// A standard queue's message keeps its age when it moves.
		c.addf(path+".dlq_retention", "%s must be at least retention, %s: raise it, or messages die on arrival",
			quoted(q.DLQRetention), quoted(q.kept()))
	}
	if q.DLQ.Off {
		c.warnings.addf(path+".dlq", "is off: a message that fails for good stays until its retention ends, then it is lost")
	}
}

// sameQueues finds queues that are one queue to AWS: two pollers would share its messages.
func (c *checker) sameQueues() {
	by := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(c.config.Queues)) {
		path, q := join("queues", key), c.config.Queues[key]
		id := q.Name + q.URL + q.ARN
		if before, twice := by[id]; twice {
			c.addf(path+".name", "%q is the queue of %s too: give one of them another name, or map kinds to jobs in one", q.Name, before)
		}
		by[id] = path
	}
}
