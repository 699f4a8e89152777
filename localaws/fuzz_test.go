package localaws_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stationmaster/worker/localaws"
)

// whole says that an answer of the Query protocol is well-formed XML.
func whole(text string) error {
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// FuzzQuery sends forms to all three services: every answer is whole.
func FuzzQuery(f *testing.F) {
	for _, a := range localaws.Actions() {
		f.Add(a.Service, "Action="+a.Name+"&QueueUrl=work&TopicArn=arn:aws:sns:us-east-1:000000000000:t")
	}
	f.Add("sqs", "Action=SendMessageBatch&QueueUrl=work&SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.MessageBody=x&SendMessageBatchRequestEntry.1.MessageAttribute.1.Name=n&SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType=Binary&SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.BinaryValue=AA==")
	f.Add("sqs", "Action=SetQueueAttributes&QueueUrl=work&Attribute.Name=Policy&Attribute.Value={}")
	f.Add("sqs", "Action=ReceiveMessage&QueueUrl=work&AttributeName=All&MaxNumberOfMessages=10")
	f.Add("sns", "Action=Publish&TopicArn=arn:aws:sns:us-east-1:000000000000:t&Message=m&MessageAttributes.entry.1.Name=a&MessageAttributes.entry.1.Value.DataType=String&MessageAttributes.entry.1.Value.StringValue=v")
	f.Add("", "Action=Unsubscribe&SubscriptionArn=a:b:c:d:e:f:g")
	f.Fuzz(func(t *testing.T, service, form string) {
		if strings.Contains(form, "WaitTimeSeconds") {
			t.Skip("waits")
		}
		s := localaws.New(localaws.Options{})
		send := func(service, form string) (int, string) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, root, strings.NewReader(form))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if !strings.ContainsAny(service, ", ") {
				r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20260131/us-east-1/"+service+"/aws4_request, SignedHeaders=host")
			}
			status, text, _ := roundTrip(t, s, r)
			return status, text
		}
		send("sqs", "Action=CreateQueue&QueueName=work&Attribute.1.Name=MaximumMessageSize&Attribute.1.Value=1024")
		send("sns", "Action=CreateTopic&Name=t")
		status, text := send(service, form)
		if err := whole(text); err != nil {
			t.Errorf("%d %q: %v", status, text, err)
		}
		if status == http.StatusInternalServerError {
			t.Errorf("the server says that it is at fault: %s", text)
		}
	})
}

// FuzzJSON sends JSON to the actions of SQS: every answer is JSON, and every error has a type.
func FuzzJSON(f *testing.F) {
	for _, a := range localaws.Actions() {
		if a.Service == "sqs" {
			f.Add(a.Name, `{"QueueUrl":"work","Attributes":{"DelaySeconds":"1"},"Tags":{"a":"b"},"Label":"l","SourceArn":"a"}`)
		}
	}
	f.Add("SendMessageBatch", `{"QueueUrl":"work","Entries":[{"Id":"a","MessageBody":"x","MessageAttributes":{"n":{"DataType":"Binary","BinaryValue":"AA=="}}}]}`)
	f.Add("ReceiveMessage", `{"QueueUrl":"http://x/000000000000/work","MaxNumberOfMessages":10,"AttributeNames":["All"]}`)
	f.Add("CreateQueue", `{"QueueName":"q.fifo","Attributes":{"FifoQueue":"true","RedrivePolicy":"{}","Policy":"{\"Statement\":[]}"}}`)
	f.Fuzz(func(t *testing.T, action, body string) {
		if strings.Contains(strings.ToLower(body), "waittimeseconds") || strings.ContainsFunc(action, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Skip("waits, or is no header")
		}
		k := newSQSKit()
		k.create(t, "work", nil)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, root, strings.NewReader(body))
		r.Header.Set("X-Amz-Target", "AmazonSQS."+action)
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20260131/us-east-1/sqs/aws4_request, SignedHeaders=host")
		response, err := k.Transport().RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		var answer map[string]any
		if err := json.Unmarshal(text, &answer); err != nil {
			t.Fatalf("%d %q: %v", response.StatusCode, text, err)
		}
		if kind, _ := answer["__type"].(string); (kind == "") == (response.StatusCode != http.StatusOK) || response.StatusCode == http.StatusInternalServerError {
			t.Errorf("%d %s", response.StatusCode, text)
		}
		if known := slices.ContainsFunc(localaws.Actions(), func(a localaws.Action) bool { return a.Name == action }); !known && response.StatusCode == http.StatusOK {
			t.Errorf("an unknown action was performed: %s", text)
		}
	})
}
