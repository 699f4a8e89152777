package awsapi

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/stationmaster/worker/queue"
)

// maxMargin is what a lease is shortened by at most: the answer of a receive was on its way for an
// unknown part of it.
const maxMargin = time.Second

// leaseRefresh is how often a visibility timeout that only the queue knows is read again.
const leaseRefresh = 5 * time.Minute

// askSystem and askAttributes ask for everything: SQS returns nothing that is not asked for.
var (
	askSystem     = []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll}
	askAttributes = []string{"All"}
)

// QueueOptions says how one queue is used.
type QueueOptions struct {
	// Visibility is sent with each receive, in whole seconds. 0 leaves it to the queue, whose own
	// timeout is read before the first receive and every five minutes after.
	Visibility time.Duration
}

// Queue receives from, settles on and sends to one queue. It is safe for concurrent use.
type Queue struct {
	client     *Client
	url, name  string
	visibility int32
	requests   atomic.Int64

	leaseRead sync.Mutex // held while the queue's own visibility timeout is read
	lease     atomic.Pointer[leaseLength]
}

type leaseLength struct {
	length time.Duration
	read   time.Time
}

// Queue fits the ports to the queue at url. It makes no request.
func (c *Client) Queue(url string, o QueueOptions) *Queue {
	q := &Queue{client: c, url: url, name: NameOf(url)}
	if o.Visibility > 0 {
		q.visibility = wholeSeconds(min(o.Visibility, queue.MaxHeld))
	}
	return q
}

// NameOf returns the name of a queue from its URL, or of a topic or queue from its ARN: for
// errors and labels.
func NameOf(address string) string {
	return address[strings.LastIndexAny(address, "/:")+1:]
}

// URL returns the address of the queue.
func (q *Queue) URL() string { return q.url }

// Requests returns how many HTTP requests were made for this queue, retries included: what AWS
// bills.
func (q *Queue) Requests() int64 { return q.requests.Load() }

// Receive asks for up to n messages, waiting up to wait. SQS has whole seconds and cannot be told
// zero: a wait of 0 leaves it to the queue's ReceiveMessageWaitTimeSeconds.
//
// Messages whose body does not match its MD5 are left out, and come back when their visibility
// timeout ends; the error that says so stands beside the deliveries that are sound.
func (q *Queue) Receive(ctx context.Context, n int, wait time.Duration) ([]queue.Delivery, error) {
	lease, err := q.leaseFor(ctx)
	if err != nil {
		return nil, err
	}
	bound := wait
	if wait <= 0 {
		bound = queue.MaxWait
	}
	call, cancel := context.WithTimeout(ctx, bound+receiveSlack)
	defer cancel()
	n, seconds := min(n, queue.MaxBatch), wholeSeconds(min(wait, queue.MaxWait))
	q.requests.Add(1) // this client makes one attempt
	ds, corrupt, first, done := q.receiveDirect(call, n, seconds, lease)
	if !done {
		if ds, corrupt, err = q.receiveBySDK(call, n, seconds, lease, first); err != nil {
			return nil, wrap("receive from", q.name, err)
		}
	}
	if corrupt != nil {
		err = wrap("receive from", q.name, fmt.Errorf("%d of %d messages do not match their MD5 and are left to come back: %s",
			len(corrupt), len(corrupt)+len(ds), strings.Join(corrupt, " ")))
	}
	return ds, err
}

// receiveDirect makes the call without the SDK; done is false when that has to do it, with what came
// of the first try.
func (q *Queue) receiveDirect(ctx context.Context, n int, wait int32, lease time.Duration) (ds []queue.Delivery, corrupt []string, first *taken, done bool) {
	d := q.client.received
	w, t := d.begin(receiveCall)
	if w == nil {
		return nil, nil, nil, false
	}
	w.body = appendReceive(w.body, q.url, attemptOf(ctx), int32(n), q.visibility, wait)
	answer, first := d.send(ctx, w, t)
	if answer == nil {
		return nil, nil, first, false
	}
	ds, corrupt, ok := decodeMessages(answer.Body, answer.Came, lease)
	if !ok {
		return nil, nil, d.takeover(answer), false
	}
	answer.Release()
	return ds, corrupt, nil, true
}

func (q *Queue) receiveBySDK(ctx context.Context, n int, wait int32, lease time.Duration, first *taken) (ds []queue.Delivery, corrupt []string, err error) {
	out, err := q.client.receive.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:                    &q.url,
		MaxNumberOfMessages:         int32(n),
		WaitTimeSeconds:             wait,
		VisibilityTimeout:           q.visibility,
		MessageSystemAttributeNames: askSystem,
		MessageAttributeNames:       askAttributes,
		ReceiveRequestAttemptId:     attemptOf(ctx),
	}, first.options()...)
	if err != nil {
		return nil, nil, err
	}
	received := came(out.ResultMetadata, first)
	ds = make([]queue.Delivery, len(out.Messages))
	sound := 0
	for i := range out.Messages {
		m := &out.Messages[i]
		if !intact(m.Body, m.MD5OfBody) {
			corrupt = append(corrupt, value(m.MessageId))
			continue
		}
		read(&ds[sound], m, received, lease)
		sound++
	}
	return ds[:sound], corrupt, nil
}

// came is when the head of an answer had come: its leases began before, and its body may take long.
func came(m middleware.Metadata, first *taken) time.Time {
	at, known := awsmiddleware.GetResponseAt(m)
	if !known {
		at = time.Now()
	}
	if first != nil && first.response != nil && first.came.Before(at) {
		at = first.came
	}
	return at
}

// leaseFor returns how long a delivery received now may be held, less the margin.
func (q *Queue) leaseFor(ctx context.Context) (time.Duration, error) {
	if q.visibility > 0 {
		return lessMargin(time.Duration(q.visibility) * time.Second), nil
	}
	known := q.lease.Load()
	if known != nil && time.Since(known.read) < leaseRefresh {
		return lessMargin(known.length), nil
	}
	if known == nil {
		q.leaseRead.Lock()
	} else if !q.leaseRead.TryLock() {
		return lessMargin(known.length), nil
	}
	defer q.leaseRead.Unlock()
	if fresh := q.lease.Load(); fresh != known {
		return lessMargin(fresh.length), nil
	}
	length, err := q.ownVisibility(ctx)
	switch {
	case err == nil:
		q.lease.Store(&leaseLength{length: length, read: time.Now()})
		return lessMargin(length), nil
	case known != nil:
		// What was true five minutes ago is the best guess; ask again in a while.
		q.lease.Store(&leaseLength{length: known.length, read: time.Now()})
		return lessMargin(known.length), nil
	}
	return 0, err
}

func (q *Queue) ownVisibility(ctx context.Context) (time.Duration, error) {
	q.requests.Add(1)
	seconds, err := q.client.queueNumbers(ctx, "read the visibility timeout of", q.url,
		types.QueueAttributeNameVisibilityTimeout)
	if err != nil {
		return 0, err
	}
	return time.Duration(seconds[0]) * time.Second, nil
}

func lessMargin(lease time.Duration) time.Duration { return lease - min(lease/10, maxMargin) }

// wholeSeconds rounds up, so that a positive duration never becomes the 0 that means "default".
func wholeSeconds(d time.Duration) int32 {
	if d <= 0 {
		return 0
	}
	return int32((d + time.Second - 1) / time.Second)
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
