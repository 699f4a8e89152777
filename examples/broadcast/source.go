package main

import (
	"context"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stationmaster/worker/jobs/broadcast"
)

// most is how many messages a page is given that opens, or comes back.
const most = 50

// event is a message on its way to a page; At is its place in the stream, for a page that comes back.
type event struct {
	At      string `json:"at,omitempty"`
	Message string `json:"message"`
}

// source is where messages come from.
type source struct {
	client          *redis.Client
	channel, stream string
	// placed is closed when listen has its place in the stream: all that comes after it will be told.
	placed chan struct{}
}

// newSource makes a source of a channel or of a stream.
func newSource(client *redis.Client, channel, stream string) source {
	return source{client: client, channel: channel, stream: stream, placed: make(chan struct{})}
}

// listen tells what is published until the context ends. What Redis refuses, or that it is not
// there, is told too, and tried again.
func (s source) listen(ctx context.Context, say func(event), failed func(error)) {
	after := "$"
	for ctx.Err() == nil {
		var err error
		if s.stream != "" {
			after, err = s.follow(ctx, after, say)
		} else {
			err = s.hear(ctx, say)
		}
		if ctx.Err() != nil {
			return
		}
		failed(err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// hear tells what comes by the channel.
func (s source) hear(ctx context.Context, say func(event)) error {
	heard := s.client.Subscribe(ctx, s.channel)
	defer func() { _ = heard.Close() }()
	defer context.AfterFunc(ctx, func() { _ = heard.Close() })() // a read does not look at the context
	for {
		m, err := heard.ReceiveMessage(ctx)
		if err != nil {
			return err
		}
		say(event{Message: m.Payload})
	}
}

// follow tells what comes into the stream after an entry, and returns the last that it has told: who
// calls it again with that misses nothing.
func (s source) follow(ctx context.Context, after string, say func(event)) (last string, err error) {
	if after == "$" {
		// The place is held fast before waiting: "$" would mean another one at each read.
		newest, err := s.client.XRevRangeN(ctx, s.stream, "+", "-", 1).Result()
		if err != nil {
			return after, err
		}
		if after = "0"; len(newest) > 0 {
			after = newest[0].ID
		}
		close(s.placed)
	}
	for {
		// A second of waiting at most, since a read does not look at the context.
		read, err := s.client.XRead(ctx, &redis.XReadArgs{Streams: []string{s.stream, after}, Block: time.Second}).Result()
		if err != nil && err != redis.Nil { //nolint:errorlint // go-redis returns it bare, and nothing came
			return after, err
		}
		if ctx.Err() != nil {
			return after, ctx.Err()
		}
		for _, of := range read {
			for _, e := range of.Messages {
				after = e.ID
				say(entry(e))
			}
		}
	}
}

// missed returns what a page has not seen: what came after an entry, or the latest messages. A
// channel has kept nothing. It waits until the listener has its place: what came between would be lost.
func (s source) missed(ctx context.Context, after string) ([]event, error) {
	if s.stream == "" {
		return nil, nil
	}
	select {
	case <-s.placed:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	from := "-"
	if after != "" {
		from = "(" + after
	}
	entries, err := s.client.XRevRangeN(ctx, s.stream, "+", from, most).Result()
	events := make([]event, 0, len(entries))
	for _, e := range slices.Backward(entries) {
		events = append(events, entry(e))
	}
	return events, err
}

func entry(e redis.XMessage) event {
	text, _ := e.Values[broadcast.Field].(string)
	return event{At: e.ID, Message: text}
}
