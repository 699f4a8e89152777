// Package localaws is Amazon SQS, SNS and the one call of STS that programs make, in this process
// and in memory, over their real wire protocols. It is for tests and for `worker dev`.
//
// It is truthful where it matters: receipts go stale as on AWS, limits are AWS's, and what AWS
// loses in silence (a queue policy that does not let SNS in, a subscription to a queue that is
// gone) is lost here in silence too. Dropped tells a test of it; the API never does.
//
// What it does not do yet answers with UnsupportedOperation: SQS's old Query protocol, archives of
// topics. Subscriptions to queues and to HTTP endpoints deliver; those to mail, phones, functions and
// streams can be made, and Dropped tells of each message that they would get. Posts to HTTP endpoints
// reach loopback addresses only, unless Options.Deliver carries them further. Envelopes are signed,
// with a certificate that this server shows.
//
// What it does simpler than AWS: changes take effect at once, retries come without jitter, counts are
// exact, a purge is instant, encryption is only remembered, fair queues do not look at how long
// consumers take, FIFO queues have no limit on requests a second, callers may do everything.
// Credentials are taken whatever they are; a request without any is refused, but for the URLs in what
// SNS sends.
//
// It has no clock of its own and holds no lock while it waits, so that it runs under
// testing/synctest, with Transport in place of a socket.
package localaws
