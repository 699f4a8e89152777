package awsapi

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/stationmaster/worker/queue"
)

// sourcesPage is how many queues one page of DeadLetterSources brings: the most there can be.
const sourcesPage = 1000

// DeadLetterSources returns the URLs of the queues whose redrive policy names the queue at url.
func (c *Client) DeadLetterSources(ctx context.Context, url string) (urls []string, err error) {
	most := int32(sourcesPage)
	in := &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: &url, MaxResults: &most}
	for {
		page, err := c.sourcesPage(ctx, in)
		if err != nil {
			return nil, wrap("list the source queues of", NameOf(url), err)
		}
		urls = append(urls, page.QueueUrls...)
		if value(page.NextToken) == "" {
			return urls, nil
		}
		in.NextToken = page.NextToken
	}
}

func (c *Client) sourcesPage(ctx context.Context, in *sqs.ListDeadLetterSourceQueuesInput) (*sqs.ListDeadLetterSourceQueuesOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	return c.control.ListDeadLetterSourceQueues(ctx, in)
}

// MoveTask is one task of SQS's own redrive.
type MoveTask = queue.MoveTask

// StartMoveTask lets SQS move all messages of a dead-letter queue to another queue, at most perSecond
// of them (0: SQS chooses, at most 500 otherwise), and returns the task's handle. Without toARN they go
// where they came from, which fails for every message that was sent into the dead-letter queue. The
// request is not repeated: when its answer was lost the error wraps queue.ErrUnanswered, and MoveTasks
// tells whether there is a task.
func (c *Client) StartMoveTask(ctx context.Context, fromARN, toARN string, perSecond int) (handle string, err error) {
	in := &sqs.StartMessageMoveTaskInput{SourceArn: &fromARN}
	if toARN != "" {
		in.DestinationArn = &toARN
	}
	if perSecond > 0 {
		rate := int32(min(perSecond, mostMovedPerSecond))
		in.MaxNumberOfMessagesPerSecond = &rate
	}
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	out, err := c.control.StartMessageMoveTask(ctx, in, oneTry)
	if err != nil {
		if unanswered(err) {
			err = fmt.Errorf("%w: %w", queue.ErrUnanswered, err)
		}
		return "", wrap("start to move the messages of", NameOf(fromARN), err)
	}
	return value(out.TaskHandle), nil
}

// mostMovedPerSecond is what SQS takes at most. Source: StartMessageMoveTask, SQS API reference.
const mostMovedPerSecond = 500

// MoveTasks returns the last tasks of a dead-letter queue, the newest first, at most ten.
func (c *Client) MoveTasks(ctx context.Context, fromARN string) ([]MoveTask, error) {
	most := int32(queue.MaxBatch)
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	out, err := c.control.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: &fromARN, MaxResults: &most})
	if err != nil {
		return nil, wrap("list the move tasks of", NameOf(fromARN), err)
	}
	tasks := make([]MoveTask, len(out.Results))
	for i := range out.Results {
		r := &out.Results[i]
		t := MoveTask{
			Handle: value(r.TaskHandle), Status: value(r.Status), Failure: value(r.FailureReason),
			From: value(r.SourceArn), To: value(r.DestinationArn), Moved: r.ApproximateNumberOfMessagesMoved,
		}
		if r.ApproximateNumberOfMessagesToMove != nil {
			t.ToMove = *r.ApproximateNumberOfMessagesToMove
		}
		if r.MaxNumberOfMessagesPerSecond != nil {
			t.PerSecond = int(*r.MaxNumberOfMessagesPerSecond)
		}
		if r.StartedTimestamp > 0 {
			t.Started = time.UnixMilli(r.StartedTimestamp)
		}
		tasks[i] = t
	}
	return tasks, nil
}

// CancelMoveTask ends a task and returns how many messages it has moved by then; they stay moved.
func (c *Client) CancelMoveTask(ctx context.Context, handle string) (moved int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	out, err := c.control.CancelMessageMoveTask(ctx, &sqs.CancelMessageMoveTaskInput{TaskHandle: &handle})
	if err != nil {
		return 0, wrap("cancel the move task", "", err)
	}
	return out.ApproximateNumberOfMessagesMoved, nil
}
