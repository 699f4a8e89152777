package localaws_test

import (
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// grave is a queue with its dead-letter queue, in which lies one message of it for each of the bodies.
func (k *conformance) grave(letters int) (queue, dlq *string, ids []string) {
	queue, dlq = k.queue("", nil), k.queue("-dlq", nil)
	k.must(k.setQueue(queue, redrive(k.arn(dlq), "1")))
	for range letters {
		ids = append(ids, *k.send(queue).MessageId)
	}
	got := 0
	k.eventually("all are received", func() bool {
		for _, m := range k.receive(queue, 1, 30) {
			got++
			k.must(k.change(queue, m.ReceiptHandle, 0))
		}
		return k.attributes(dlq)["ApproximateNumberOfMessages"] == strconv.Itoa(letters)
	})
	return queue, dlq, ids
}

func (k *conformance) startMove(from string, to *string, rate int32) (*sqs.StartMessageMoveTaskOutput, error) {
	in := &sqs.StartMessageMoveTaskInput{SourceArn: &from, DestinationArn: to}
	if rate > 0 {
		in.MaxNumberOfMessagesPerSecond = &rate
	}
	return k.sqs.StartMessageMoveTask(k.ctx, in)
}

func (k *conformance) lastMove(from string) types.ListMessageMoveTasksResultEntry {
	out, err := k.sqs.ListMessageMoveTasks(k.ctx, &sqs.ListMessageMoveTasksInput{SourceArn: &from})
	k.must(err)
	if len(out.Results) == 0 {
		k.fail("no task is listed")
	}
	return out.Results[0]
}

var moveFacts = []fact{
	{"§5.7", "messages move out of a dead-letter queue only", func(k *conformance) {
		_, err := k.startMove(k.arn(k.queue("", nil)), nil, 0)
		k.refused(err, codeValue, "Source queue must be configured as a Dead Letter Queue")
	}},
	{"§2.1", "what a subscription's dead-letter queue holds cannot be moved", func(k *conformance) {
		topic, dlq, _ := k.lost()
		k.allow(dlq, *topic)
		k.arrives(topic, dlq)
		_, err := k.startMove(k.arn(dlq), nil, 0)
		k.refused(err, codeValue, "Source queue must be configured as a Dead Letter Queue")
	}},
	{"§5.7", "a move wants a queue that exists", func(k *conformance) {
		_, err := k.startMove("arn:aws:sqs:us-east-1:000000000000:"+k.prefix+"-none", nil, 0)
		k.refused(err, "ResourceNotFoundException", "SourceArn")
	}},
	{"§5.7", "a move wants a destination that exists", func(k *conformance) {
		_, dlq, _ := k.grave(0)
		_, err := k.startMove(k.arn(dlq), aws.String("arn:aws:sqs:us-east-1:000000000000:"+k.prefix+"-none"), 0)
		k.refused(err, "ResourceNotFoundException", "DestinationArn")
	}},
	{"§5.7", "at most 500 messages move a second", func(k *conformance) {
		_, dlq, _ := k.grave(0)
		_, err := k.startMove(k.arn(dlq), nil, 501)
		k.refused(err, codeValue, "")
	}},
	{"§5.7", "without a destination messages go back where they came from, as new ones", func(k *conformance) {
		queue, dlq, ids := k.grave(1)
		_, err := k.startMove(k.arn(dlq), nil, 0)
		k.must(err)
		m := k.one(queue, 30)
		k.same("it has its old id", *m.MessageId == ids[0], false)
		k.same("ApproximateReceiveCount", m.Attributes["ApproximateReceiveCount"], "1")
	}},
	{"§5.7", "messages move to another queue when it is named", func(k *conformance) {
		_, dlq, _ := k.grave(1)
		other := k.queue("-other", nil)
		_, err := k.startMove(k.arn(dlq), aws.String(k.arn(other)), 0)
		k.must(err)
		k.one(other, 30)
	}},
	{"§5.7", "a task that runs is listed with its handle, and is the only one", func(k *conformance) {
		_, dlq, _ := k.grave(4)
		source := k.arn(dlq)
		started, err := k.startMove(source, nil, 1)
		k.must(err)
		task := k.lastMove(source)
		k.same("Status", *task.Status, "RUNNING")
		k.same("TaskHandle", aws.ToString(task.TaskHandle), *started.TaskHandle)
		_, err = k.startMove(source, nil, 1)
		k.refused(err, codeValue, "There is already a task running. Only one active task is allowed for a source queue arn at a given time")
	}},
	{"§5.7", "a task that is done is listed without its handle", func(k *conformance) {
		queue, dlq, _ := k.grave(1)
		source := k.arn(dlq)
		_, err := k.startMove(source, nil, 0)
		k.must(err)
		k.one(queue, 30)
		k.eventually("the task is done", func() bool { return *k.lastMove(source).Status == "COMPLETED" })
		k.same("TaskHandle", aws.ToString(k.lastMove(source).TaskHandle), "")
	}},
	{"§5.7", "a cancelled task leaves what it has moved", func(k *conformance) {
		queue, dlq, _ := k.grave(3)
		started, err := k.startMove(k.arn(dlq), nil, 1)
		k.must(err)
		k.one(queue, 30)
		_, err = k.sqs.CancelMessageMoveTask(k.ctx, &sqs.CancelMessageMoveTaskInput{TaskHandle: started.TaskHandle})
		k.must(err)
		k.same("what was moved is there", k.attributes(queue)["ApproximateNumberOfMessagesNotVisible"], "1")
		k.same("something is left", k.attributes(dlq)["ApproximateNumberOfMessages"] == "0", false)
	}},
	{"§5.7", "a handle that is none cancels nothing", func(k *conformance) {
		_, err := k.sqs.CancelMessageMoveTask(k.ctx, &sqs.CancelMessageMoveTaskInput{TaskHandle: aws.String("foobared")})
		k.refused(err, codeValue, "Value for parameter TaskHandle is invalid")
	}},
}
