package localaws_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stationmaster/worker/localaws"
)

func TestControlAnswersInsteadOfTheService(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work", nil)
	var seen []localaws.Request
	stop := k.Control("SendMessage", func(r *localaws.Request) *localaws.Fault {
		seen = append(seen, *r)
		return &localaws.Fault{Status: 403, Code: "RequestThrottled", Message: "slower"}
	})
	_, err := k.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: queue, MessageBody: new("x")})
	if !is[*types.RequestThrottled](err) {
		t.Errorf("SendMessage: %v", err)
	}
	if got := k.counts(t, queue); got != (counts{}) { // another action, not controlled
		t.Errorf("the message was stored: %+v", got)
	}
	stop()
	k.send(t, queue, "x")
	if len(seen) != 1 || seen[0].Action != "SendMessage" || seen[0].Service != "sqs" || seen[0].Target != *queue || seen[0].Region != "us-east-1" {
		t.Errorf("the control saw %+v", seen)
	}
}

func TestControlLosesTheAnswer(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work", nil)
	stop := k.Control("", func(*localaws.Request) *localaws.Fault { return &localaws.Fault{Lose: true} })
	_, err := k.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: queue, MessageBody: new("x")})
	if err == nil || code(err) != "" {
		t.Errorf("SendMessage: %v, want an error of the connection", err)
	}
	stop()
	if got := k.counts(t, queue); got != (counts{visible: 1}) {
		t.Errorf("counts %+v: the request was to be performed", got)
	}
}

func TestControlFailsEntries(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work", nil)
	k.Control("SendMessageBatch", func(r *localaws.Request) *localaws.Fault {
		if !slices.Equal(r.Entries, []string{"a", "b", "c"}) {
			t.Errorf("entries %v", r.Entries)
		}
		return &localaws.Fault{Entries: map[string]string{"b": "InternalError"}}
	})
	var entries []types.SendMessageBatchRequestEntry
	for _, id := range []string{"a", "b", "c"} {
		entries = append(entries, types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &id})
	}
	out, err := k.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: queue, Entries: entries})
	if err != nil || len(out.Successful) != 2 || len(out.Failed) != 1 {
		t.Fatalf("SendMessageBatch: %v, %v", out, err)
	}
	if f := out.Failed[0]; *f.Id != "b" || *f.Code != "InternalError" || f.SenderFault {
		t.Errorf("failed entry %s: %s, sender's fault %v", *f.Id, *f.Code, f.SenderFault)
	}
	if got := k.counts(t, queue); got != (counts{visible: 2}) {
		t.Errorf("counts %+v", got)
	}
}

func TestControlCorruptsChecksums(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work", nil)
	k.send(t, queue, "x")
	k.Control("ReceiveMessage", func(*localaws.Request) *localaws.Fault { return &localaws.Fault{CorruptMD5: true} })
	_, err := k.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue})
	if err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("ReceiveMessage: %v, want the client's complaint about the checksum", err)
	}
}

func TestControlDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		queue := k.create(t, "work", nil)
		k.Control("SendMessage", func(*localaws.Request) *localaws.Fault { return &localaws.Fault{Delay: time.Minute} })
		start := time.Now()
		k.send(t, queue, "x")
		if took := time.Since(start); took != time.Minute {
			t.Errorf("sent after %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := k.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: queue, MessageBody: new("given up")})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a client that gave up: %v", err)
		}
		if got := k.counts(t, queue); got != (counts{visible: 1}) {
			t.Errorf("counts %+v: what was given up must not be performed", got)
		}
	})
}

// The same server behind a socket, as worker dev runs it.
func TestOverHTTP(t *testing.T) {
	s := localaws.New(localaws.Options{Account: "123456789012"})
	ended := make(chan string, 16) // actions that the server is done with
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r)
		ended <- r.Header.Get("X-Amz-Target")
	}))
	defer server.Close()
	cfg := sdkConfig(s, "eu-central-1")
	cfg.BaseEndpoint, cfg.HTTPClient = &server.URL, server.Client()

	identity, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil || *identity.Account != "123456789012" || *identity.Arn != "arn:aws:iam::123456789012:root" {
		t.Errorf("GetCallerIdentity: %+v, %v", identity, err)
	}
	client := sqs.NewFromConfig(cfg)
	created, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: new("work")})
	if err != nil || *created.QueueUrl != server.URL+"/123456789012/work" {
		t.Fatalf("CreateQueue: %v, %v", created, err)
	}
	// A client that closes its connection during a poll takes no message with it.
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan struct{})
	stop := s.Control("ReceiveMessage", func(*localaws.Request) *localaws.Fault { close(started); return nil })
	gone := make(chan error)
	go func() {
		_, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: created.QueueUrl, WaitTimeSeconds: 20})
		gone <- err
	}()
	<-started
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the canceled poll: %v", err)
	}
	for action := range ended { // long before its 20 seconds: the server notices that the client has gone
		if action == "AmazonSQS.ReceiveMessage" {
			break
		}
	}
	stop()
	if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: created.QueueUrl, MessageBody: new("for the next")}); err != nil {
		t.Fatal(err)
	}
	next, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: created.QueueUrl})
	if err != nil || len(next.Messages) != 1 {
		t.Errorf("the next receive: %v, %v", next, err)
	}
	stop = s.Control("SendMessage", func(*localaws.Request) *localaws.Fault { return &localaws.Fault{Lose: true} })
	if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: created.QueueUrl, MessageBody: new("x")}); err == nil || code(err) != "" {
		t.Errorf("a lost answer: %v, want an error of the connection", err)
	}
	stop()
}

func TestServersDoNotShare(t *testing.T) {
	one, two := newSQSKit(), newSQSKit()
	one.create(t, "work", nil)
	_, err := two.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("work")})
	if !is[*types.QueueDoesNotExist](err) {
		t.Errorf("a queue of another server: %v", err)
	}
	if status, _, _ := roundTrip(t, one.Server, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)); status != http.StatusForbidden {
		t.Errorf("a request without credentials: %d", status)
	}
}
