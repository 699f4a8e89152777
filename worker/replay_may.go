package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/queue"
)

// Needs are what a replay is going to do.
type Needs struct {
	// Takes: letters are deleted; Sends: they are sent to their destinations; Restores: into the
	// dead-letter queue; Native: SQS moves them.
	Takes, Sends, Restores, Native bool
}

// Preflight finds out what would go wrong, before anything is touched: every fault is in the error, a line
// each. What only may go wrong is in Notes.
func (r *Replay) Preflight(ctx context.Context, n Needs) error {
	var faults []error
	note := func(err error) {
		if err != nil {
			faults = append(faults, err)
		}
	}
	if !n.Restores {
		note(r.ownPolicy())
	}
	if r.explicit == nil && n.Sends {
		for _, s := range r.sources {
			if _, err := r.queueDestination(s); err != nil {
				note(err)
			}
		}
	}
	note(r.idle(ctx))
	for _, denied := range r.denied(ctx, n) {
		note(denied)
	}
	if len(faults) == 0 {
		return nil
	}
	return refusal(errors.Join(faults...))
}

// ownPolicy refuses to scan a queue whose receives move its messages on.
func (r *Replay) ownPolicy() error {
	own := r.at.redrive()
	if own.Target == "" {
		return nil
	}
	next := awsapi.NameOf(own.Target)
	return fmt.Errorf("%s has a redrive policy of its own: each look is one of the %d receives after which a message moves on to %s. "+
		"Replay %s, or remove the policy from %s first", r.at.name, own.Receives, next, next, r.at.name)
}

// idle refuses to work beside a redrive of SQS's own.
func (r *Replay) idle(ctx context.Context) error {
	tasks, err := r.op.api.MoveTasks(ctx, r.at.arn)
	switch {
	case errors.Is(err, queue.ErrDenied):
		r.Notes = append(r.Notes, "sqs:ListMessageMoveTasks is denied: nobody knows whether SQS's own redrive is running")
		return nil
	case err != nil:
		return nil //nolint:nilerr // a queue that is no source's DLQ has no tasks, and SQS says so by an error
	}
	for i := range tasks {
		if t := &tasks[i]; t.Running() {
			to := "where they came from"
			if t.To != "" {
				to = awsapi.NameOf(t.To)
			}
			return fmt.Errorf("SQS's own redrive of %s to %s is running: %d of about %d are moved. Wait for it, or cancel it "+
				"(aws sqs cancel-message-move-task)", r.at.name, to, t.Moved, t.ToMove)
		}
	}
	return nil
}

// denied asks for each permission that the replay needs by a call that does nothing.
func (r *Replay) denied(ctx context.Context, n Needs) []error {
	asks := []func(context.Context) error{}
	if !n.Restores {
		asks = append(asks, r.queue.MayChangeVisibility)
	} else {
		asks = append(asks, r.queue.MaySend)
	}
	if n.Takes {
		asks = append(asks, r.queue.MayDelete)
	}
	if n.Sends {
		for _, s := range r.mayGoTo() {
			asks = append(asks, r.op.api.Queue(s.url, awsapi.QueueOptions{}).MaySend)
		}
	}
	var faults []error
	for _, ask := range asks {
		if err := ask(ctx); err != nil {
			faults = append(faults, fmt.Errorf("%w; --print-iam tells what a replay needs", err))
		}
	}
	return faults
}

// mayGoTo are the queues that letters may be sent to.
func (r *Replay) mayGoTo() []*place {
	if r.explicit == nil {
		return r.sources
	}
	if r.explicitAt == nil {
		return nil // a job of this program
	}
	return []*place{r.explicitAt}
}

// statement is one of an IAM policy.
type statement struct {
	Sid      string   `json:"Sid"`
	Effect   string   `json:"Effect"`
	Action   []string `json:"Action"`
	Resource []string `json:"Resource"`
}

// ReplayPolicy is the IAM policy that a replay of a queue needs, as JSON. What could not be asked, because
// that itself is denied, is taken from the configuration.
func ReplayPolicy(ctx context.Context, o Options, ro ReplayOptions) (string, error) {
	r, err := openReplay(ctx, o, ro)
	if err != nil {
		return "", err
	}
	if err := r.find(ctx); err != nil {
		if !errors.Is(err, queue.ErrDenied) {
			return "", refusal(err)
		}
		r.guess()
	}
	return r.policy()
}

// guess fills in what may not be asked.
func (r *Replay) guess() {
	name := r.options.Queue
	if _, after, isARN := strings.Cut(name, "arn:"); isARN && after != "" {
		name, _ = ofARN(r.options.Queue)
	} else {
		name = awsapi.NameOf(name)
	}
	if q, ok := r.op.loaded.Config.Queues[name]; ok {
		wanted := queueOf(name, q)
		if name = wanted.Name; wanted.DLQ != "" {
			r.sources = []*place{{name: name, arn: r.op.account.QueueARN(name)}}
			name = wanted.DLQ
		}
	}
	if len(r.sources) == 0 {
		for key, q := range r.op.loaded.Config.Queues {
			if wanted := queueOf(key, q); wanted.DLQ == name {
				r.sources = append(r.sources, &place{name: wanted.Name, arn: r.op.account.QueueARN(wanted.Name)})
			}
		}
	}
	r.at = place{name: name, arn: r.op.account.QueueARN(name)}
	if to := r.options.To; to != "" && to != ToOrigin && !strings.HasPrefix(to, ToJob) {
		r.explicit = &dlqreplay.Destination{Name: to, ARN: r.op.account.QueueARN(awsapi.NameOf(to))}
	}
}

func (r *Replay) policy() (string, error) {
	var to []string
	if r.explicit != nil && r.explicit.ARN != "" {
		to = append(to, r.explicit.ARN)
	} else if r.explicit == nil {
		for _, s := range r.sources {
			to = append(to, s.arn)
		}
		for _, s := range r.subs {
			if s.Protocol == queueProtocol {
				to = append(to, s.Endpoint)
			}
		}
	}
	all := []statement{
		{"FindQueues", "Allow", []string{"sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ListDeadLetterSourceQueues"}, append([]string{r.at.arn}, to...)},
		{"TakeDeadLetters", "Allow", []string{
			"sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage",
			"sqs:ListMessageMoveTasks", "sqs:StartMessageMoveTask", "sqs:CancelMessageMoveTask",
		}, []string{r.at.arn}},
		{"SendThemBack", "Allow", []string{"sqs:SendMessage"}, append(to, r.at.arn)},
	}
	if r.Undelivered || len(r.sources) == 0 {
		all = append(all, statement{"FindSubscriptions", "Allow", []string{"sns:ListSubscriptions", "sns:GetSubscriptionAttributes"}, []string{"*"}})
	}
	if key := r.at.attributes["KmsMasterKeyId"]; strings.HasPrefix(key, "arn:") {
		all = append(all, statement{"ReadAndWriteEncrypted", "Allow", []string{"kms:Decrypt", "kms:GenerateDataKey"}, []string{key}})
	}
	text, err := json.MarshalIndent(map[string]any{"Version": "2012-10-17", "Statement": all}, "", "  ")
	return string(text), err
}
