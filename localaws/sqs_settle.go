package localaws

import "time"

// maxHidden is how long one receipt can keep a message hidden, and the longest visibility timeout.
// Source: ChangeMessageVisibility, SQS API reference.
const maxHidden = 43_200

type receiptInput struct {
	ID                string `json:"Id"` // of a batch entry
	ReceiptHandle     string
	VisibilityTimeout *int
}

type batchInput struct {
	queueInput
	Entries []receiptInput
}

func deleteMessage(c *call, in *struct {
	queueInput
	receiptInput
},
) (any, error) {
	return nil, c.settleOne(in.QueueURL, &in.receiptInput, deleteByHandle)
}

func deleteMessageBatch(c *call, in *batchInput) (any, error) {
	return c.settleBatch(in, deleteByHandle)
}

func changeMessageVisibility(c *call, in *struct {
	queueInput
	receiptInput
},
) (any, error) {
	return nil, c.settleOne(in.QueueURL, &in.receiptInput, changeByHandle)
}

func changeMessageVisibilityBatch(c *call, in *batchInput) (any, error) {
	return c.settleBatch(in, changeByHandle)
}

type settlement func(c *call, q *sqsQueue, in *receiptInput) error

func (c *call) settleOne(queueURL string, in *receiptInput, settle settlement) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	q, err := c.queue(queueURL)
	if err != nil {
		return err
	}
	if err := settle(c, q, in); err != nil {
		return err
	}
	c.s.settle(q)
	return nil
}

func (c *call) settleBatch(in *batchInput, settle settlement) (any, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	q, err := c.queue(in.QueueURL)
	if err != nil {
		return nil, err
	}
	id := func(i int) string { return in.Entries[i].ID }
	if err := checkBatch(len(in.Entries), id); err != nil {
		return nil, err
	}
	defer c.s.settle(q)
	return c.each(len(in.Entries), id, func(i int) (any, error) {
		return settled{id(i)}, settle(c, q, &in.Entries[i])
	})
}

// deleteByHandle deletes a message. An expired receipt deletes as well as a good one; one that
// somebody else's receive has overtaken is accepted and does nothing, which is what AWS warns of;
// deleting what is gone is no error. A FIFO queue takes no expired receipts.
func deleteByHandle(c *call, q *sqsQueue, in *receiptInput) error {
	m, last, err := q.byHandle(in.ReceiptHandle)
	if err != nil {
		return err
	}
	if m == nil {
		return nil
	}
	if q.fifo && (!last || m.place != inFlight) {
		return expired(in.ReceiptHandle)
	}
	if last && !c.s.nasty.revive(q, m) {
		q.remove(m)
	}
	return nil
}

// changeByHandle hides a message from now on, or shows it. Any receipt of it will do, also an
// expired one or one that was overtaken: so an old worker can break the lease of a new one, here
// as on AWS. On a FIFO queue that cannot happen.
func changeByHandle(_ *call, q *sqsQueue, in *receiptInput) error {
	if in.VisibilityTimeout == nil {
		return missing("VisibilityTimeout")
	}
	seconds := *in.VisibilityTimeout
	if seconds < 0 || seconds > maxHidden {
		return outside(seconds, "VisibilityTimeout", 0, maxHidden)
	}
	m, last, err := q.byHandle(in.ReceiptHandle)
	switch {
	case err != nil:
		return err
	case m == nil:
		return badValue("Value %s for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.", in.ReceiptHandle)
	case q.fifo && (!last || m.place != inFlight):
		return expired(in.ReceiptHandle) // inferred from what a delete is answered
	}
	now := time.Now()
	due := now.Add(time.Duration(seconds) * time.Second)
	switch {
	case due.Sub(m.received) > maxHidden*time.Second:
		return badValue("Value %s for parameter ReceiptHandle is invalid. Reason: Total VisibilityTimeout for the message is beyond the limit [%d seconds].", in.ReceiptHandle, maxHidden)
	case seconds > 0:
		q.move(m, inFlight, due)
	case m.place == inFlight:
		q.move(m, visible, now)
	}
	m.changes++
	return nil
}

func expired(handle string) *apiError {
	return badValue("Value %s for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.", handle)
}
