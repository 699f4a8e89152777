// Package localaws is Amazon SQS, SNS and the one call of STS that programs make, in this process
// and in memory, over their real wire protocols. It is for tests and for `worker dev`.
//
// It is truthful where it matters: receipts go stale as on AWS, limits are AWS's, and what AWS
// loses in silence (a queue policy that does not let SNS in, a subscription to a queue that is
// gone) is lost here in silence too. Dropped tells a test of it; the API never does.
//
// What it does not do answers with UnsupportedOperation: the actions that are absent below, archives of
// topics. Subscriptions to queues and to HTTP endpoints deliver; those to mail, phones, functions and
// streams can be made, and Dropped tells of each message that they would get. Posts to HTTP endpoints
// reach loopback addresses only, unless Options.Deliver carries them further. Envelopes are signed,
// with a certificate that this server shows.
//
// What it does simpler than AWS, unless Options.Nasty asks for the opposite: changes take effect at
// once, counts are exact, a purge is instant, standard queues keep their order, nothing deleted comes
// again, and nothing is given to a caller that has gone. What it does simpler in any case: retries come
// without jitter, encryption is only remembered, fair queues do not look at how long consumers take,
// FIFO queues have no limit on requests a second.
//
// Every region is a world of its own, and so is every account. Credentials are taken whatever they
// are: the scope of the signature names the region, an access key of 12 digits (or AKIA and 12 digits)
// the account, any other key is Options.Account's. Callers are the root users of their accounts: at
// home they may do what no policy denies, with the queues and topics of others what a policy allows.
// A request without credentials is refused, but for the URLs in what SNS sends and queues that are
// open to everybody.
//
// FACTS.md lists what SNS and SQS do, with the test that shows it here; DIFFERENCES.md lists where
// LocalStack does something else.
//
// It has no clock of its own and holds no lock while it waits, so that it runs under
// testing/synctest, with Transport in place of a socket.
package localaws
