// Package jobs is what the author of a job sees. A job is a Go package that registers itself under
// a name, in one of four ways:
//
//	jobs.Register("email", Send)                  // a function, one message at a time
//	jobs.RegisterBatch("analytics", SendAll)      // a function, up to ten messages at a time
//	jobs.RegisterJob("email", New)                // a struct with settings or connections
//	jobs.RegisterBatchJob("analytics", New)       // the same, for batches
//
// A struct's exported fields tagged `config:"smtp_addr"` are its settings, decoded strictly from
// [jobs.email] of the configuration. Provision, if it has one, is called once, after the settings
// are in place and before the first message; Close, if it has one, after the last.
//
// A job answers by its error: nil deletes the message; any other error brings it back by its
// visibility timeout, with backoff; package retry marks errors that want something else (Never,
// After, Pause). A message may be delivered more than once: job name and Info.ID together are the
// key for idempotency.
//
// Middleware runs around a job: see Use, and package middleware for what there is ready.
package jobs
