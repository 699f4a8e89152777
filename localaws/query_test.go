package localaws_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/stationmaster/worker/localaws"
)

// What LocalStack's tests recorded of AWS: TestSqsQueryApi in tests/aws/services/sqs/test_sqs.py.
func TestActionsOnTheQueueURL(t *testing.T) {
	k := newQueryKit(localaws.New(localaws.Options{}))
	work, other := k.create(t, "work"), k.create(t, "other")
	gone := strings.Replace(work, "work", "gone", 1)
	for _, tt := range []struct {
		name, address string
		pairs         []string
		status        int
		says          []string
	}{
		{"attributes", work, []string{"Action", "GetQueueAttributes", "AttributeName.1", "All"}, 200, []string{
			"<GetQueueAttributesResponse ", "<Attribute><Name>QueueArn</Name><Value>arn:aws:sqs:us-east-1:000000000000:work</Value></Attribute>", "<Attribute><Name>VisibilityTimeout</Name><Value>30</Value></Attribute>",
		}},
		{"the old way without a number", work, []string{"Action", "GetQueueAttributes", "AttributeName", "QueueArn"}, 200, []string{":work</Value>"}},
		{"unknown action", work, []string{"Action", "FooBar", "Version", "2012-11-05"}, 400, []string{"<Type>Sender</Type><Code>InvalidAction</Code><Message>The action FooBar is not valid for this endpoint.</Message><Detail/>"}},
		{"missing parameter", work, []string{"Action", "SendMessage"}, 400, []string{"<Code>MissingParameter</Code><Message>The request must contain the parameter MessageBody.</Message>"}},
		{"unknown attribute", work, []string{"Action", "GetQueueAttributes", "AttributeName.1", "Foobar"}, 400, []string{"<Code>InvalidAttributeName</Code><Message>Unknown Attribute Foobar.</Message>"}},
		{"no such queue", gone, []string{"Action", "GetQueueAttributes"}, 400, []string{"<Code>AWS.SimpleQueueService.NonExistentQueue</Code><Message>The specified queue does not exist for this wsdl version.</Message><Detail/>"}},
		{"no action", work, nil, 404, []string{"<UnknownOperationException/>"}},
		{"CreateQueue", work, []string{"Action", "CreateQueue", "QueueName", "new"}, 400, []string{"<Code>InvalidAction</Code><Message>The action CreateQueue is not valid for this endpoint.</Message>"}},
		{"ListQueues", work, []string{"Action", "ListQueues"}, 400, []string{"<Code>InvalidAction</Code><Message>The action ListQueues is not valid for this endpoint.</Message>"}},
		{"GetQueueUrl of another queue", work, []string{"Action", "GetQueueUrl", "QueueName", "other"}, 200, []string{"<QueueUrl>" + other + "</QueueUrl>"}},
		{"a QueueUrl among the parameters counts more", work, []string{"Action", "GetQueueAttributes", "QueueUrl", other, "AttributeName.1", "QueueArn"}, 200, []string{":other</Value>"}},
		{"nothing to receive", other, []string{"Action", "ReceiveMessage"}, 200, []string{"<ReceiveMessageResult/>"}},
		{"unknown version", work, []string{"Action", "SendMessage", "Version", "2000-01-01"}, 400, []string{"<Code>NoSuchVersion</Code>"}},
		{"old version", work, []string{"Action", "GetQueueAttributes", "Version", "2009-02-01"}, 200, []string{`xmlns="http://queue.amazonaws.com/doc/2009-02-01/"`}},
		{"no queue", root, []string{"Action", "SendMessage", "MessageBody", "x"}, 404, []string{"<Code>InvalidAddress</Code><Message>The address http://localaws.test/ is not valid for this endpoint.</Message>"}},
		{"send", work, []string{"Action", "SendMessage", "MessageBody", "a & b"}, 200, []string{"<SendMessageResult><MessageId>", "<MD5OfMessageBody>"}},
		{"receive", work, []string{"Action", "ReceiveMessage"}, 200, []string{"<ReceiveMessageResult><Message><MessageId>", "<Body>a &amp; b</Body>", "<MD5OfBody>"}},
		{"delete the queue", work, []string{"Action", "DeleteQueue"}, 200, []string{`<?xml version="1.0"?><DeleteQueueResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/"><ResponseMetadata><RequestId>`}},
		{"which is gone", work, []string{"Action", "ReceiveMessage"}, 400, []string{"NonExistentQueue"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := k.get(t, tt.address, tt.pairs...); got.status != tt.status || !got.says(tt.says...) {
				t.Errorf("%d %s, want %d with %q", got.status, got.text, tt.status, tt.says)
			}
		})
	}
}

func TestBothProtocolsSeeTheSameQueues(t *testing.T) {
	s := localaws.New(localaws.Options{})
	k, j := newQueryKit(s), &sqsKit{Server: s, Client: sqs.NewFromConfig(sdkConfig(s, "us-east-1"))}
	queue := k.create(t, "work", "Attribute.1.Name", "DelaySeconds", "Attribute.1.Value", "0",
		"Attribute.3.Name", "VisibilityTimeout", "Attribute.3.Value", "7", "Tag.1.Key", "team", "Tag.1.Value", "a<b")
	if got := j.get(t, &queue)["VisibilityTimeout"]; got != "7" {
		t.Errorf("VisibilityTimeout %q", got)
	}
	sent := k.post(t, queue, "SendMessage", "MessageBody", "hello",
		"MessageAttribute.1.Name", "kind", "MessageAttribute.1.Value.DataType", "String", "MessageAttribute.1.Value.StringValue", "greeting",
		"MessageAttribute.2.Name", "raw", "MessageAttribute.2.Value.DataType", "Binary", "MessageAttribute.2.Value.BinaryValue", "AQI=",
		"MessageSystemAttribute.1.Name", "AWSTraceHeader", "MessageSystemAttribute.1.Value.DataType", "String", "MessageSystemAttribute.1.Value.StringValue", "Root=1")
	m := j.one(t, &queue)
	if *m.Body != "hello" || *m.MessageAttributes["kind"].StringValue != "greeting" || string(m.MessageAttributes["raw"].BinaryValue) != "\x01\x02" || m.Attributes["AWSTraceHeader"] != "Root=1" {
		t.Errorf("received %+v", m)
	}
	if md5 := sent.element(t, "MD5OfMessageAttributes"); md5 == "" || md5 != *m.MD5OfMessageAttributes {
		t.Errorf("MD5OfMessageAttributes %q, want %q", md5, *m.MD5OfMessageAttributes)
	}
	changed := k.post(t, queue, "ChangeMessageVisibility", "ReceiptHandle", *m.ReceiptHandle, "VisibilityTimeout", "0")
	if changed.status != http.StatusOK || !changed.says("<ChangeMessageVisibilityResponse ", "<ResponseMetadata>") || changed.says("Result") {
		t.Errorf("change: %+v", changed)
	}
	got := k.post(t, queue, "ReceiveMessage", "AttributeName.1", "ApproximateReceiveCount", "MessageAttributeName.1", "All", "MaxNumberOfMessages", "10", "VisibilityTimeout", "30")
	if !got.says("<Attribute><Name>ApproximateReceiveCount</Name><Value>2</Value></Attribute>",
		"<MessageAttribute><Name>kind</Name><Value><DataType>String</DataType><StringValue>greeting</StringValue></Value></MessageAttribute>",
		"<MessageAttribute><Name>raw</Name><Value><DataType>Binary</DataType><BinaryValue>AQI=</BinaryValue></Value></MessageAttribute>") {
		t.Errorf("received %s", got.text)
	}
	if a := k.post(t, queue, "DeleteMessage", "ReceiptHandle", got.element(t, "ReceiptHandle")); a.status != http.StatusOK {
		t.Errorf("delete: %+v", a)
	}
	if c := j.counts(t, &queue); c != (counts{}) {
		t.Errorf("counts %+v", c)
	}
	if a := k.post(t, queue, "ListQueueTags"); !a.says("<Tag><Key>team</Key><Value>a&lt;b</Value></Tag>") {
		t.Errorf("tags: %s", a.text)
	}
	k.post(t, queue, "TagQueue", "Tags.1.Key", "old", "Tags.1.Value", "spelling", "Tags.2.Key", "x", "Tags.2.Value", "")
	k.post(t, queue, "UntagQueue", "TagKey.1", "team", "TagKey.2", "x")
	if a := k.post(t, queue, "ListQueueTags"); !a.says("<ListQueueTagsResult><Tag><Key>old</Key><Value>spelling</Value></Tag></ListQueueTagsResult>") {
		t.Errorf("tags: %s", a.text)
	}
	k.create(t, "work-2")
	if a := k.post(t, root, "ListQueues", "QueueNamePrefix", "work", "MaxResults", "1"); !a.says("<ListQueuesResult><QueueUrl>" + queue + "</QueueUrl><NextToken>") {
		t.Errorf("list: %s", a.text)
	}
}

func TestQueryBatchesAnswerEntryByEntry(t *testing.T) {
	k := newQueryKit(localaws.New(localaws.Options{}))
	queue := k.create(t, "work")
	const entry = "SendMessageBatchRequestEntry."
	sent := k.post(t, queue, "SendMessageBatch", entry+"1.Id", "a", entry+"1.MessageBody", "one",
		entry+"2.Id", "b", entry+"2.MessageBody", "bad\x01",
		entry+"10.Id", "c", entry+"10.MessageBody", "ten", entry+"10.MessageAttribute.1.Name", "n", entry+"10.MessageAttribute.1.Value.DataType", "Number", entry+"10.MessageAttribute.1.Value.StringValue", "10")
	if sent.status != http.StatusOK || !sent.says("<SendMessageBatchResult><SendMessageBatchResultEntry><Id>a</Id><MessageId>", "<SendMessageBatchResultEntry><Id>c</Id>",
		"<BatchResultErrorEntry><Id>b</Id><SenderFault>true</SenderFault><Code>InvalidMessageContents</Code><Message>") {
		t.Fatalf("send: %+v", sent)
	}
	got := k.post(t, queue, "ReceiveMessage", "MaxNumberOfMessages", "10")
	if strings.Count(got.text, "<Message>") != 2 {
		t.Fatalf("received %s", got.text)
	}
	handle := got.element(t, "ReceiptHandle")
	hidden := k.post(t, queue, "ChangeMessageVisibilityBatch", "ChangeMessageVisibilityBatchRequestEntry.1.Id", "a",
		"ChangeMessageVisibilityBatchRequestEntry.1.ReceiptHandle", handle, "ChangeMessageVisibilityBatchRequestEntry.1.VisibilityTimeout", "60")
	if !hidden.says("<ChangeMessageVisibilityBatchResult><ChangeMessageVisibilityBatchResultEntry><Id>a</Id></ChangeMessageVisibilityBatchResultEntry></ChangeMessageVisibilityBatchResult>") {
		t.Errorf("hide: %s", hidden.text)
	}
	deleted := k.post(t, queue, "DeleteMessageBatch", "DeleteMessageBatchRequestEntry.1.Id", "a", "DeleteMessageBatchRequestEntry.1.ReceiptHandle", handle,
		"DeleteMessageBatchRequestEntry.2.Id", "b", "DeleteMessageBatchRequestEntry.2.ReceiptHandle", "x")
	if !deleted.says("<DeleteMessageBatchResultEntry><Id>a</Id></DeleteMessageBatchResultEntry>", "<BatchResultErrorEntry><Id>b</Id><SenderFault>true</SenderFault><Code>ReceiptHandleIsInvalid</Code>") {
		t.Errorf("delete: %s", deleted.text)
	}
	for _, tt := range []struct {
		pairs []string
		code  string
	}{
		{nil, "AWS.SimpleQueueService.EmptyBatchRequest"},
		{[]string{entry + "1.Id", "a", entry + "1.MessageBody", "x", entry + "2.Id", "a", entry + "2.MessageBody", "x"}, "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"},
		{[]string{entry + "1.Id", "a", entry + "1.MessageBody", "x", entry + "1.DelaySeconds", "soon"}, "InvalidParameterValue"},
	} {
		if a := k.post(t, queue, "SendMessageBatch", tt.pairs...); a.status != http.StatusBadRequest || a.element(t, "Code") != tt.code {
			t.Errorf("%v: %d %s, want %s", tt.pairs, a.status, a.text, tt.code)
		}
	}
}

func TestTheSignatureMayBeInTheURL(t *testing.T) {
	s := localaws.New(localaws.Options{})
	k := newQueryKit(s).as("111111111111", "sqs")
	k.region = "eu-west-1"
	queue := k.create(t, "work")
	k.key = ""
	if a := k.get(t, queue, "Action", "GetQueueAttributes", "AttributeName.1", "QueueArn",
		"X-Amz-Algorithm", "AWS4-HMAC-SHA256", "X-Amz-Credential", "111111111111/20260131/eu-west-1/sqs/aws4_request", "X-Amz-Signature", "0"); a.status != http.StatusOK || !a.says("arn:aws:sqs:eu-west-1:111111111111:work") {
		t.Errorf("%d %s", a.status, a.text)
	}
}

func TestServicesAreToldApart(t *testing.T) {
	s := localaws.New(localaws.Options{})
	k := newQueryKit(s)
	for _, tt := range []struct {
		name, key, service string
		pairs              []string
		status             int
		says               string
	}{
		{"by the signature", "AKID", "sns", []string{"Action", "ListTopics"}, 200, `<ListTopicsResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">`},
		{"by the version", "AKID", "execute-api", []string{"Action", "ListTopics", "Version", "2010-03-31"}, 200, "<ListTopicsResponse "},
		{"by the action", "AKID", "execute-api", []string{"Action", "ListQueues"}, 200, "<ListQueuesResponse "},
		{"an action of two services", "AKID", "execute-api", []string{"Action", "AddPermission"}, 400, "InvalidAction"},
		{"STS", "AKID", "sts", []string{"Action", "GetCallerIdentity", "Version", "2011-06-15"}, 200, "<Account>000000000000</Account>"},
		{"STS without a version", "AKID", "sts", []string{"Action", "GetCallerIdentity"}, 400, "Could not find operation GetCallerIdentity for version NO_VERSION_SPECIFIED"},
		{"SNS of another version", "AKID", "sns", []string{"Action", "ListTopics", "Version", "2011-06-15"}, 400, "<Code>InvalidAction</Code><Message>Could not find operation ListTopics for version 2011-06-15</Message></Error>"},
		{"unknown to SNS", "AKID", "sns", []string{"Action", "Dance", "Version", "2010-03-31"}, 400, "Could not find operation Dance for version 2010-03-31"},
		{"unknown to STS", "AKID", "sts", []string{"Action", "Dance", "Version", "2011-06-15"}, 400, "Could not find operation Dance for version 2011-06-15"},
		{"SNS without an action", "AKID", "sns", nil, 400, "<Code>MissingAction</Code>"},
		{"nothing said", "AKID", "execute-api", nil, 404, "<UnknownOperationException/>"},
		{"no credentials", "", "", []string{"Action", "GetCallerIdentity", "Version", "2011-06-15"}, 403, "MissingAuthenticationToken"},
		{"no credentials, SQS", "", "", []string{"Action", "ListQueues", "Version", "2012-11-05"}, 403, "MissingAuthenticationToken"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if a := k.as(tt.key, tt.service).get(t, root, tt.pairs...); a.status != tt.status || !a.says(tt.says) {
				t.Errorf("%d %s, want %d with %q", a.status, a.text, tt.status, tt.says)
			}
		})
	}
}

func TestHostsNameTheRegionOfTheUnsigned(t *testing.T) {
	s := localaws.New(localaws.Options{})
	k := newQueryKit(s)
	k.region = "eu-west-3"
	open := `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"}]}`
	k.create(t, "work", "Attribute.1.Name", "Policy", "Attribute.1.Value", open)
	for host, status := range map[string]int{
		"sqs.eu-west-3.localhost": 200, "eu-west-3.queue.localhost": 200, "sqs.eu-west-3.amazonaws.com": 200, "eu-west-3.queue.amazonaws.com:4566": 200,
		"localhost": 400, "sqs.eu-west-1.localhost": 400,
	} {
		if a := k.as("", "").get(t, "http://"+host+"/000000000000/work", "Action", "GetQueueUrl", "QueueName", "work"); a.status != status || status == 200 && !a.says("<QueueUrl>http://"+host+"/000000000000/work</QueueUrl>") {
			t.Errorf("%s: %d %s", host, a.status, a.text)
		}
	}
}

func TestQueueURLsHaveTheSchemeOfTheServer(t *testing.T) {
	s := localaws.New(localaws.Options{})
	server := httptest.NewTLSServer(s)
	defer server.Close()
	cfg := sdkConfig(s, "us-east-1")
	cfg.BaseEndpoint, cfg.HTTPClient = &server.URL, server.Client()
	out, err := sqs.NewFromConfig(cfg).CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: new("work")})
	if err != nil || *out.QueueUrl != server.URL+"/000000000000/work" || !strings.HasPrefix(*out.QueueUrl, "https://") {
		t.Errorf("CreateQueue: %v, %v", out, err)
	}
}

func TestABareNameIsAQueueOfTheCaller(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work", nil)
	k.send(t, new("work"), "x")
	if c := k.counts(t, queue); c != (counts{visible: 1}) {
		t.Errorf("counts %+v", c)
	}
}

func TestWhatSNSSendsNamesTheAddressItWasCalledBy(t *testing.T) {
	s := localaws.New(localaws.Options{})
	server := httptest.NewTLSServer(s)
	defer server.Close()
	k := newSNSKit(t)
	k.Server = s
	k.sns, k.sqs = k.clients("us-east-1")
	k.topic(t, nil)
	url := k.open(t, "work")
	k.subscribe(t, "work", nil)
	r := (&queryKit{Server: s, key: "AKID", service: "sns", region: "us-east-1"}).request(t, http.MethodGet, server.URL, "")
	r.URL.RawQuery = form("Action", "Publish", "Version", "2010-03-31", "TopicArn", snsTopicARN, "Message", "m").Encode()
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	got := k.receive(t, url)
	if len(got) != 1 || !strings.Contains(*got[0].Body, `"UnsubscribeURL" : "`+server.URL+`/?Action=Unsubscribe&`) || !strings.HasPrefix(server.URL, "https://") {
		t.Errorf("received %+v", got)
	}
}
