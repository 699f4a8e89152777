package awsapi_test

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/queue"
)

func sum(body string) string {
	s := md5.Sum([]byte(body))
	return hex.EncodeToString(s[:])
}

func message(id, body, md5 string) string {
	return fmt.Sprintf(`{"MessageId":%q,"ReceiptHandle":"h-%s","Body":%q,"MD5OfBody":%q}`, id, id, body, md5)
}

func TestReceiveReadsEverythingSQSSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := "hello"
		q, f := open(t, awsapi.QueueOptions{Visibility: 60 * time.Second}, reply{status: 200, body: `{"Messages":[{
			"MessageId":"m1","ReceiptHandle":"h1","Body":"hello","MD5OfBody":"` + sum(body) + `",
			"Attributes":{"ApproximateReceiveCount":"3","SentTimestamp":"1700000000123",
				"ApproximateFirstReceiveTimestamp":"1700000001000","AWSTraceHeader":"Root=1-2-3","MessageGroupId":"tenant",
				"DeadLetterQueueSourceArn":"arn:aws:sqs:eu-central-1:000000000000:email"},
			"MessageAttributes":{"kind":{"DataType":"String","StringValue":"mail"},
				"pic":{"DataType":"Binary.png","BinaryValue":"AQI="}}}]}`})
		got, err := q.Receive(t.Context(), 7, 20*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		want := []queue.Delivery{{
			Message: queue.Message{
				Body: body, GroupID: "tenant", TraceHeader: "Root=1-2-3",
				Attributes: map[string]queue.Attribute{
					"kind": {Type: "String", Text: "mail"},
					"pic":  {Type: "Binary.png", Binary: []byte{1, 2}},
				},
			},
			MessageID: "m1", Handle: "h1", Receives: 3,
			Sent: time.UnixMilli(1700000000123), FirstReceived: time.UnixMilli(1700000001000),
			Received: now, Deadline: now.Add(59 * time.Second),
			SourceARN: "arn:aws:sqs:eu-central-1:000000000000:email",
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		asked := map[string]any{}
		if err := json.Unmarshal([]byte(f.requests()[0].body), &asked); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]any{
			"QueueUrl": emailURL, "MaxNumberOfMessages": 7.0, "WaitTimeSeconds": 20.0, "VisibilityTimeout": 60.0,
			"MessageSystemAttributeNames": []any{"All"}, "MessageAttributeNames": []any{"All"},
		}, asked); diff != "" {
			t.Error(diff)
		}
		if q.Requests() != 1 {
			t.Errorf("Requests() = %d, want 1", q.Requests())
		}
	})
}

func TestReceiveReadsTheQueuesOwnVisibilityEveryFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, f := open(t, awsapi.QueueOptions{},
			reply{status: 200, body: `{"Attributes":{"VisibilityTimeout":"5"}}`},
			reply{status: 200, body: `{"Messages":[` + message("m1", "a", sum("a")) + `]}`},
			reply{status: 200, body: `{}`},
			reply{status: 200, body: `{"Attributes":{"VisibilityTimeout":"100"}}`},
			reply{status: 200, body: `{"Messages":[` + message("m1", "a", sum("a")) + `]}`},
		)
		for i, want := range []time.Duration{4500 * time.Millisecond, 0, 99 * time.Second} {
			if i == 2 {
				<-time.After(6 * time.Minute) // the bubble's clock
			}
			got, err := q.Receive(t.Context(), 1, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) == 1 && time.Until(got[0].Deadline) != want {
				t.Errorf("receive %d: lease %s, want %s", i, time.Until(got[0].Deadline), want)
			}
		}
		var ops []string
		for _, r := range f.requests() {
			ops = append(ops, r.op)
			if strings.Contains(r.body, `"VisibilityTimeout":`) {
				t.Errorf("%s sends a visibility timeout that nobody configured: %s", r.op, r.body)
			}
		}
		want := []string{"GetQueueAttributes", "ReceiveMessage", "ReceiveMessage", "GetQueueAttributes", "ReceiveMessage"}
		if diff := cmp.Diff(want, ops); diff != "" {
			t.Error(diff)
		}
	})
}

func TestReceiveHandsOnTheSoundMessagesBesideACorruptOne(t *testing.T) {
	q, _ := open(t, awsapi.QueueOptions{Visibility: time.Minute}, reply{status: 200, body: `{"Messages":[` +
		message("good-1", "a", sum("a")) + "," + message("bad", "b", sum("x")) + "," + message("good-2", "c", sum("c")) + `]}`})
	got, err := q.Receive(t.Context(), 10, 0)
	if err == nil || !strings.Contains(err.Error(), "receive from email: 1 of 3 messages") || !strings.Contains(err.Error(), "bad") {
		t.Errorf("err = %v, want the corrupt message named", err)
	}
	if len(got) != 2 || got[0].MessageID != "good-1" || got[1].MessageID != "good-2" {
		t.Errorf("got %+v, want good-1 and good-2", got)
	}
}

func TestReceiveDoesNotRetryAndSettlesDo(t *testing.T) {
	unavailable := reply{status: 503, body: "busy"}
	synctest.Test(t, func(t *testing.T) {
		q, f := open(t, awsapi.QueueOptions{Visibility: time.Minute}, unavailable)
		if _, err := q.Receive(t.Context(), 1, time.Second); err == nil {
			t.Error("receive: no error")
		}
		if n := len(f.requests()); n != 1 {
			t.Errorf("receive made %d attempts, want 1: its backoff is the poller's", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		q, f := open(t, awsapi.QueueOptions{Visibility: time.Minute}, unavailable,
			reply{status: 200, body: `{"Successful":[{"Id":"0"}],"Failed":[]}`})
		if errs := q.Delete(t.Context(), []queue.ReceiptHandle{"h"}); errs != nil {
			t.Errorf("delete: %v", errs)
		}
		if n := len(f.requests()); n != 2 {
			t.Errorf("delete made %d attempts, want 2", n)
		}
		if q.Requests() != 2 {
			t.Errorf("Requests() = %d, want 2: AWS bills each attempt", q.Requests())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		q, f := open(t, awsapi.QueueOptions{Visibility: time.Minute}, unavailable)
		began := time.Now()
		errs := q.Delete(t.Context(), []queue.ReceiptHandle{"h", "i"})
		if len(errs) != 2 || errs[0] == nil || errs[1] == nil {
			t.Errorf("delete: %v, want an error for each", errs)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("delete gave up after %s, want at most 5s", took)
		}
		if int(q.Requests()) != len(f.requests()) {
			t.Errorf("Requests() = %d, made %d", q.Requests(), len(f.requests()))
		}
	})
}

func TestSettlesAnswerByIndex(t *testing.T) {
	q, f := open(t, awsapi.QueueOptions{Visibility: time.Minute}, reply{status: 200, body: `{
		"Successful":[{"Id":"0"}],
		"Failed":[
			{"Id":"2","Code":"ReceiptHandleIsInvalid","SenderFault":true,"Message":"no"},
			{"Id":"1","Code":"InternalError","SenderFault":false},
			{"Id":"4","Code":"InvalidParameterValue","SenderFault":true}]}`})
	errs := q.ChangeVisibility(t.Context(), []queue.ReceiptHandle{"a", "b", "c", "d", "e"},
		[]time.Duration{0, 1500 * time.Millisecond, time.Second, time.Second, time.Second})
	if len(errs) != 5 {
		t.Fatalf("%d errors, want 5", len(errs))
	}
	if errs[0] != nil {
		t.Errorf("0: %v, want nil", errs[0])
	}
	if errs[1] == nil || errors.Is(errs[1], queue.ErrRejected) || errors.Is(errs[1], queue.ErrLeaseLost) {
		t.Errorf("1: %v, want an unclassed error: it may pass", errs[1])
	}
	for _, i := range []int{2, 4} {
		if !errors.Is(errs[i], queue.ErrLeaseLost) {
			t.Errorf("%d: %v, want lease lost", i, errs[i])
		}
	}
	if errs[3] == nil {
		t.Error("3: nil, want an error: the response does not name it")
	}
	for _, want := range []string{`"VisibilityTimeout":0`, `"VisibilityTimeout":2`} {
		if !strings.Contains(f.requests()[0].body, want) {
			t.Errorf("request %s lacks %s", f.requests()[0].body, want)
		}
	}
}

// TestNoErrorQuotesAReceiptHandle: SQS does, and errors are logged.
func TestNoErrorQuotesAReceiptHandle(t *testing.T) {
	const one, two = queue.ReceiptHandle("AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a"), queue.ReceiptHandle("AQEBaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	for name, r := range map[string]reply{
		"an entry": {status: 200, body: `{"Successful":[],"Failed":[
			{"Id":"0","Code":"ReceiptHandleIsInvalid","SenderFault":true,"Message":"The input receipt handle \"` + string(one) + `\" is not a valid receipt handle."},
			{"Id":"1","Code":"InvalidParameterValue","SenderFault":true,"Message":"Value ` + string(two) + ` for parameter ReceiptHandle is invalid."}]}`},
		"the request": {status: 400, body: `{"__type":"com.amazonaws.sqs#InvalidParameterValue","message":"Value '[` + string(one) + `, ` + string(two) + `]' at 'entries'"}`},
	} {
		q, _ := open(t, awsapi.QueueOptions{Visibility: time.Minute}, r)
		handles := []queue.ReceiptHandle{one, two}
		for call, errs := range map[string][]error{
			"delete": q.Delete(t.Context(), handles), "hide": q.ChangeVisibility(t.Context(), handles, make([]time.Duration, 2)),
		} {
			text := fmt.Sprint(errors.Join(errs...))
			if len(errs) != 2 || strings.Contains(text, string(one)) || strings.Contains(text, string(two)) || !strings.Contains(text, "<receipt>") {
				t.Errorf("%s, %s: %s", name, call, text)
			}
			for _, err := range errs {
				if !errors.Is(err, queue.ErrLeaseLost) {
					t.Errorf("%s, %s: %v is not of its class", name, call, err)
				}
			}
		}
	}
}

func TestBatchesOfTheWrongSizeMakeNoRequest(t *testing.T) {
	q, f := open(t, awsapi.QueueOptions{Visibility: time.Minute}, reply{status: 200, body: `{}`})
	if errs := q.Delete(t.Context(), nil); errs != nil {
		t.Errorf("empty delete: %v", errs)
	}
	errs := q.Delete(t.Context(), make([]queue.ReceiptHandle, 11))
	if len(errs) != 11 || !errors.Is(errs[10], queue.ErrRejected) {
		t.Errorf("delete of 11: %v, want 11 times rejected", errs)
	}
	errs = q.ChangeVisibility(t.Context(), []queue.ReceiptHandle{"a"}, []time.Duration{13 * time.Hour})
	if len(errs) != 1 || !errors.Is(errs[0], queue.ErrRejected) {
		t.Errorf("13h: %v, want rejected", errs)
	}
	if n := len(f.requests()); n != 0 {
		t.Errorf("%d requests, want none", n)
	}
}

func TestSendCarriesAttributesAndReportsPerMessage(t *testing.T) {
	q, f := open(t, awsapi.QueueOptions{}, reply{status: 200, body: `{
		"Successful":[{"Id":"1","MessageId":"m-1","MD5OfMessageBody":"` + sum("two") + `"},
			{"Id":"2","MessageId":"m-2","MD5OfMessageBody":"` + sum("another") + `"}],
		"Failed":[{"Id":"0","Code":"InvalidMessageContents","SenderFault":true,"Message":"bad character"}]}`})
	sent, errs := q.Send(t.Context(), []queue.Message{
		{Body: "one\x00"},
		{Body: "two", GroupID: "g", TraceHeader: "Root=1", Attributes: map[string]queue.Attribute{
			"n": {Type: "Number", Text: "1"}, "b": {Type: "Binary", Binary: []byte{7}},
		}},
		{Body: "three"},
	})
	if diff := cmp.Diff([]string{"", "m-1", "m-2"}, sent); diff != "" {
		t.Error(diff)
	}
	if !errors.Is(queue.At(errs, 0), queue.ErrRejected) || queue.At(errs, 1) != nil || queue.At(errs, 2) == nil {
		t.Errorf("errs = %v, want rejected, nil, and an MD5 mismatch", errs)
	}
	body := f.requests()[0].body
	for _, want := range []string{`"MessageGroupId":"g"`, `"AWSTraceHeader"`, `"BinaryValue":"Bw=="`, `"StringValue":"1"`} {
		if !strings.Contains(body, want) {
			t.Errorf("request lacks %s: %s", want, body)
		}
	}
}
