// Package middleware has ready-made middleware for jobs: what a worker does around every message anyway
// (it recovers panics, bounds attempts, logs failures, makes spans and metrics), for those who want it
// closer to the job, finer, or in another place.
//
//	func init() {
//		jobs.Register("email", Send, jobs.Use(middleware.Log(), middleware.Timeout(10*time.Second)))
//	}
//
// is for one job. A worker of one's own has it for all its jobs, those of plugins included, whether their
// messages come by SQS, by an HTTP subscription or by a replay that runs them in its own process:
//
//	func main() {
//		cli.Main(func(o *worker.Options) { o.Middleware = append(o.Middleware, middleware.Log()) })
//	}
//
// # Order
//
// The first is the outermost. What a worker has for all jobs is outside of what a job has for itself. The
// usual order, from the outside in, and what it means there:
//
//	Log, Trace, Metrics   see everything below, so that a duplicate that Once answers counts as done
//	jobs.Once             a duplicate ends here; a run that fails, panics or is out of time is free again
//	Timeout               bounds the job, not the store of Once
//	Recover               innermost: all of the above see a panic of the job as its answer
//	the job
//
// A layer that is given for all jobs and to a job as well works twice for that job.
//
// # What passes through
//
// None of these layers changes an answer, except that Recover makes one of a panic, and Timeout says of
// a plain error that came too late that it was the timeout's. What package retry marks (Never, After,
// Pause) stays marked and unchanged. A batch is one call: one span, one duration, one timeout, and an
// answer for each message.
//
// A panic that nobody has recovered yet, and runtime.Goexit, pass through Log, Trace and Metrics, which
// see them as failures of class "panic" and "goexit". The worker's own recover is outside of every layer
// and stays there: it also takes the panics of middleware. Nothing can hold up a goroutine that ends; the
// worker makes a failure of it.
//
// # What is told
//
// No value of a message's body is in a record, a span or a metric. What is said of an error is what the
// worker says, a template: its text may quote the message.
package middleware
