package topology_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// in is a client of the same account in another region.
func (k *kit) in(region string) *awsapi.Client {
	return awsapi.New(aws.Config{
		Region: region, BaseEndpoint: aws.String("http://localaws.test"), HTTPClient: roundTripper{k.server.Transport()},
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
	}, awsapi.Options{})
}

// A topic in a region that has to be switched on, and a queue in one that has not: the statement that is
// printed names SNS by the topic's region, and with it the message arrives; in all other directions, and
// within a region, SNS is named as everywhere.
func TestTheStatementNamesSNSAsItComesFromTheTopicsRegion(t *testing.T) {
	for _, tt := range []struct{ topic, queue, principal string }{
		{"us-east-1", "us-east-1", "sns.amazonaws.com"},
		{"us-east-1", "eu-west-1", "sns.amazonaws.com"},
		{"us-east-1", "af-south-1", "sns.amazonaws.com"},
		{"af-south-1", "af-south-1", "sns.amazonaws.com"},
		{"af-south-1", "us-east-1", "sns.af-south-1.amazonaws.com"},
	} {
		t.Run(tt.topic+" to "+tt.queue, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t)
				here, there := k.in(tt.topic), k.in(tt.queue)
				at := topology.Account{Partition: "aws", Region: tt.topic, ID: account.ID}
				url, err := there.CreateQueue(t.Context(), "away", nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				arn := topology.Account{Partition: "aws", Region: tt.queue, ID: account.ID}.QueueARN("away")
				function := "arn:aws:lambda:" + tt.queue + ":" + account.ID + ":function:audit"
				want := topology.Topology{
					Topics:        []topology.Topic{{Name: "news"}},
					Queues:        []topology.Queue{{Name: "away", ARN: arn, Unmanaged: true}},
					Subscriptions: []topology.Subscription{{Topic: "news", Queue: "away", DLQ: "news-away-delivery-dlq"}, {Topic: "news", Protocol: "lambda", Endpoint: function}},
				}
				errands := want.Errands(at)
				if len(errands) != 2 || !strings.Contains(errands[0].Statement, `"Principal":{"Service":"`+tt.principal+`"}`) || !strings.Contains(errands[1].Command, "--principal "+tt.principal+" ") {
					t.Fatalf("errands %+v", errands)
				}
				if err := there.SetQueueAttributes(t.Context(), url, map[string]string{"Policy": `{"Version":"2012-10-17","Statement":[` + errands[0].Statement + `]}`}); err != nil {
					t.Fatal(err)
				}
				topic, err := here.CreateTopic(t.Context(), "news", nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := here.Subscribe(t.Context(), topic, "sqs", arn, nil); err != nil {
					t.Fatal(err)
				}
				if _, err := here.Publish(t.Context(), topic, queue.Message{Body: "x"}); err != nil {
					t.Fatal(err)
				}
				got, err := there.Queue(url, awsapi.QueueOptions{}).Receive(t.Context(), 1, 0)
				if err != nil || len(got) != 1 {
					t.Errorf("%d messages, %v; lost %v", len(got), err, k.lost())
				}
			})
		})
	}
}

// What has let a topic in before does so still, and nothing is written: within a region the statement is
// the one that it was.
func TestTheStatementWithinARegionStaysAsItWas(t *testing.T) {
	for _, region := range []string{"us-east-1", "af-south-1"} {
		synctest.Test(t, func(t *testing.T) {
			k := newKit(t)
			there, at := k.in(region), topology.Account{Partition: "aws", Region: region, ID: account.ID}
			want := topology.Topology{
				Topics:        []topology.Topic{{Name: "news"}},
				Queues:        []topology.Queue{{Name: "email"}},
				Subscriptions: []topology.Subscription{{Topic: "news", Queue: "email"}},
			}
			old := `{"Version":"2012-10-17","Statement":[{"Sid":"stationmaster-sns","Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage",` +
				`"Resource":"` + at.QueueARN("email") + `","Condition":{"ArnEquals":{"aws:SourceArn":["` + at.TopicARN("news") + `"]}}}]}`
			if _, err := there.CreateQueue(t.Context(), "email", map[string]string{"Policy": old}, nil); err != nil {
				t.Fatal(err)
			}
			if _, err := want.Apply(t.Context(), there, at, nil); err != nil {
				t.Fatal(err)
			}
			url, err := there.QueueURL(t.Context(), "email", "")
			if err != nil {
				t.Fatal(err)
			}
			if have, err := there.QueueAttributes(t.Context(), url); err != nil || have["Policy"] != old {
				t.Errorf("%s: policy %s, %v", region, have["Policy"], err)
			}
			if p, err := want.Plan(t.Context(), there, at); err != nil || len(p.Changes) > 0 {
				t.Errorf("%s: changes %v, %v", region, p.Changes, err)
			}
		})
	}
}
