// Package localaws is Amazon SQS, SNS and the one call of STS that programs make, in this process
// and in memory, over their real wire protocols. It is for tests and for `worker dev`.
//
// It is truthful where it matters: receipts go stale as on AWS, limits are AWS's, and what AWS
// loses in silence (a queue policy that does not let SNS in, a subscription to a queue that is
// gone) is lost here in silence too. Dropped tells a test of it; the API never does.
//
// What it does not do yet answers with UnsupportedOperation: FIFO queues and topics, message move
// tasks, SQS's old Query protocol, subscriptions other than to queues. Credentials are taken
// whatever they are; a request without any is refused.
//
// It has no clock of its own and holds no lock while it waits, so that it runs under
// testing/synctest, with Transport in place of a socket.
package localaws

// BORDER between the server with SQS (A1) and SNS (A2, files sns_*.go). Remove when both are done.
//
//   - SNS's state is the field Server.sns of type snsState; newSNSState makes it.
//   - snsActions maps the Action of a form-encoded request to a queryAction: it reads c.form, takes
//     c.s.mu itself (release it before waiting on anything), and returns what stands inside
//     <XResult>…</XResult> as a value for encoding/xml (nil: no result element), or an *apiError.
//   - c.region is the request's region, c.s.account the account, c.arn("sns", name) an ARN in both.
//   - apiError{Status, Code, Message, Type}: errors of a request. c.entryFault(id) is the injected
//     failure of a batch entry, nil when there is none.
//   - Server.queueByARN and Server.deliver want s.mu held and never wait; deliver enqueues, with
//     SQS's own checks (exists, size, attributes), and wakes receivers.
//     sqsQueue.policy is the queue's Policy attribute, "" when there is none.
//   - Server.drop(Drop{…}) tells the Dropped callbacks; call it WITHOUT s.mu.
