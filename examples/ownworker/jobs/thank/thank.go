// Package thank is the job "thank": it thanks for an order, once, through a topic of its own.
package thank

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// Order is the body of a message.
type Order struct {
	Number   string `json:"number"`
	Customer string `json:"customer"`
}

// Thanks is what is published for each order.
type Thanks struct {
	To   string `json:"to"`
	Text string `json:"text"`
}

// Thank is the job; its tagged fields are the settings of [jobs.thank].
type Thank struct {
	Greeting string `config:"greeting"`
	Topic    string `config:"topic"`

	publisher jobs.Publisher
}

func init() { jobs.RegisterJob("thank", New) }

// New makes the job with its defaults.
func New() *Thank { return &Thank{Greeting: "Thank you", Topic: "thanks"} }

// CheckSettings says what is wrong with the settings before anything is opened.
func (t *Thank) CheckSettings() error {
	if t.Topic == "" {
		return errors.New("topic: not set")
	}
	return nil
}

// Provision takes what the worker lends.
func (t *Thank) Provision(_ context.Context, env *jobs.Env) error {
	t.publisher = env.Publisher
	return nil
}

// Handle thanks for one order. One without a customer is nobody's, however often it is tried.
func (t *Thank) Handle(ctx context.Context, m *jobs.Message[Order]) error {
	if m.Body.Customer == "" {
		return retry.Never(errors.New("no customer"))
	}
	text, err := json.Marshal(Thanks{To: m.Body.Customer, Text: t.Greeting + " for order " + m.Body.Number})
	if err != nil {
		return retry.Never(fmt.Errorf("encode thanks: %w", err))
	}
	if _, err := t.publisher.Publish(ctx, t.Topic, queue.Message{Body: string(text)}); err != nil {
		return fmt.Errorf("publish thanks: %w", err)
	}
	return nil
}
