package worker

import (
	"context"
	"fmt"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/internal/awsapi"
)

// leastNative is how many messages make SQS's own redrive the better tool.
const leastNative = 10_000

// Native returns the one destination that SQS's own redrive could move everything to; the error says why
// it cannot.
func (r *Replay) Native(ctx context.Context) (*dlqreplay.Destination, error) {
	switch {
	case len(r.sources) == 0:
		return nil, fmt.Errorf("SQS moves only what a queue's redrive policy brought: %s is no queue's dead-letter queue", r.at.name)
	case r.explicit != nil && r.explicit.ARN == "":
		return nil, fmt.Errorf("SQS cannot move to %s", r.explicit.Name)
	case r.explicit != nil:
		return r.explicit, nil
	case len(r.sources) > 1:
		return nil, fmt.Errorf("%s is shared by %d queues, and SQS's redrive to each of them fails at what a worker sent: say --to QUEUE", r.at.name, len(r.sources))
	}
	return r.atARN(ctx, r.sources[0].arn, r.sources[0])
}

// NativePays reports whether there are so many messages that SQS's own redrive is the better tool.
func (r *Replay) NativePays(ctx context.Context) (bool, error) {
	n, err := r.DLQ.Counts(ctx)
	return n.Visible > leastNative, err
}

// Tasks are SQS's own redrives.
func (r *Replay) Tasks() dlqreplay.Tasks { return moveTasks{r.op.api} }

type moveTasks struct{ api *awsapi.Client }

func (m moveTasks) Start(ctx context.Context, fromARN, toARN string, perSecond int) (string, error) {
	return m.api.StartMoveTask(ctx, fromARN, toARN, perSecond)
}

func (m moveTasks) List(ctx context.Context, fromARN string) ([]dlqreplay.Task, error) {
	tasks, err := m.api.MoveTasks(ctx, fromARN)
	all := make([]dlqreplay.Task, len(tasks))
	for i, t := range tasks {
		all[i] = dlqreplay.Task{
			Handle: t.Handle, Status: t.Status, Failure: t.Failure, ToARN: t.To, Moved: t.Moved, ToMove: t.ToMove, Started: t.Started,
		}
	}
	return all, err
}

func (m moveTasks) Cancel(ctx context.Context, handle string) (int64, error) {
	return m.api.CancelMoveTask(ctx, handle)
}
