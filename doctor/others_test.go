package doctor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/doctor"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// recorded answers for KMS as AWS gives them.
type recordedKeys struct {
	State, Policy string
	AWS           bool
	Err           error
}

func (r *recordedKeys) Key(_ context.Context, id string) (doctor.Key, error) {
	return doctor.Key{ARN: "arn:aws:kms:us-east-1:000000000000:key/" + id, State: r.State, AWS: r.AWS, Policy: r.Policy}, r.Err
}

// recordedAlarms are those on a metric of a queue; "*" stands for all.
type recordedAlarms struct {
	by  map[string][]doctor.Alarm
	err error
}

func (r recordedAlarms) AlarmsOn(_ context.Context, metric, queue string) ([]doctor.Alarm, error) {
	if all, ok := r.by[metric+" "+queue]; ok {
		return all, r.err
	}
	return r.by["*"], r.err
}

type recordedRights map[string][]string

func (r recordedRights) Denied(_ context.Context, url string, send bool) ([]string, error) {
	name := url[strings.LastIndexByte(url, '/')+1:]
	if send {
		name = "send to " + name
	}
	return r[name], nil
}

func goodAlarms() recordedAlarms {
	return recordedAlarms{by: map[string][]doctor.Alarm{"*": {{Name: "page", Enabled: true, Actions: 1}}}}
}

// keyPolicy is that of a key, as the SNS and SQS guides show it.
func keyPolicy(topic string) string {
	return `{"Version":"2012-10-17","Id":"key-default-1","Statement":[
		{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:root"},"Action":"kms:*","Resource":"*"},
		{"Sid":"AllowSNS","Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":["kms:Decrypt","kms:GenerateDataKey*"],"Resource":"*",
		 "Condition":{"ArnEquals":{"aws:SourceArn":["arn:aws:sns:us-east-1:000000000000:` + topic + `"]}}}]}`
}

// fault is a misconfiguration: how it shows in what AWS answers.
type fault struct {
	code   string
	wanted topology.Topology
	alter  func(s *topology.State, o *doctor.Options)
	also   []string // codes that are true as well
}

// mail sets an attribute of a queue.
func set(name, attribute, value string) func(*topology.State, *doctor.Options) {
	return func(s *topology.State, _ *doctor.Options) { s.Queues[name].Attributes[attribute] = value }
}

func setSub(attribute, value string) func(*topology.State, *doctor.Options) {
	return func(s *topology.State, _ *doctor.Options) {
		s.Topics["orders"].Subscriptions[0].Attributes[attribute] = value
	}
}

func setTopic(attribute, value string) func(*topology.State, *doctor.Options) {
	return func(s *topology.State, _ *doctor.Options) { s.Topics["orders"].Attributes[attribute] = value }
}

func withWork(adjust func(*doctor.Work)) func(*topology.State, *doctor.Options) {
	return func(_ *topology.State, o *doctor.Options) {
		w := o.Work["mail"]
		adjust(&w)
		o.Work["mail"] = w
	}
}

// key gives the queue a key of the account's, and what KMS says of it.
func key(r recordedKeys) func(*topology.State, *doctor.Options) {
	return func(s *topology.State, o *doctor.Options) {
		s.Queues["mail"].Attributes["KmsMasterKeyId"] = "k1"
		o.Keys = &r
	}
}

func fifo(w *topology.Topology) {
	w.Topics[0].Name, w.Queues[0].Name, w.Queues[0].DLQ = "orders.fifo", "mail.fifo", "mail-dlq.fifo"
	w.Subscriptions[0] = topology.Subscription{Topic: "orders.fifo", Queue: "mail.fifo", DLQ: "orders-mail-delivery-dlq.fifo"}
}

func web(w *topology.Topology) {
	w.Topics[0].Attributes = map[string]string{"SignatureVersion": "2"}
	w.Subscriptions = append(w.Subscriptions, topology.Subscription{Topic: "orders", Protocol: "https", Endpoint: "https://hooks.test/audit", DLQ: "orders-audit-delivery-dlq"})
}

func faults() map[string]fault {
	const dlqARN = "arn:aws:sqs:us-east-1:000000000000:mail-dlq"
	return map[string]fault{
		"D-04": {code: "D-04", alter: func(s *topology.State, _ *doctor.Options) {
			s.Topics["orders"].ARN = "arn:aws:sns:me-south-1:000000000000:orders"
			s.Queues["mail"].Attributes["Policy"] = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:000000000000:orders"}}}]}`
			s.Queues["orders-mail-delivery-dlq"].Attributes["Policy"] = strings.ReplaceAll(s.Queues["mail"].Attributes["Policy"], `"sns.amazonaws.com"`, `"sns.me-south-1.amazonaws.com"`)
		}},
		"D-05":               {code: "D-05", alter: set("mail", "KmsMasterKeyId", "alias/aws/sqs")},
		"D-05 by its ARN":    {code: "D-05", alter: set("mail", "KmsMasterKeyId", "arn:aws:kms:us-east-1:000000000000:alias/aws/sqs")},
		"D-05 by KMS":        {code: "D-05", alter: key(recordedKeys{State: "Enabled", AWS: true})},
		"D-06":               {code: "D-06", alter: key(recordedKeys{State: "Enabled", Policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:root"},"Action":"kms:*","Resource":"*"}]}`})},
		"D-06 another topic": {code: "D-06", alter: key(recordedKeys{State: "Enabled", Policy: keyPolicy("other")})},
		"D-07 disabled":      {code: "D-07", alter: key(recordedKeys{State: "Disabled"})},
		"D-07 to be deleted": {code: "D-07", alter: key(recordedKeys{State: "PendingDeletion"})},
		"D-07 none":          {code: "D-07", alter: key(recordedKeys{Err: fmt.Errorf("key k1: %w", queue.ErrNotFound)})},
		"D-13 none declared": {code: "D-13", alter: setSub("FilterPolicy", `{"event":["x"]}`)},
		"D-13 one declared": {code: "D-13", wanted: orders(func(w *topology.Topology) {
			w.Subscriptions[0].Filter, w.Subscriptions[0].FilterOn = `{"event":["x"]}`, "body"
		}), alter: setSub("FilterPolicy", "")},
		"D-13 wider": {code: "D-13", wanted: orders(func(w *topology.Topology) {
			w.Subscriptions[0].Filter, w.Subscriptions[0].FilterOn = `{"event":["x"]}`, "body"
		}), alter: setSub("FilterPolicy", `{"event":["x","y"]}`)},
		"D-15":                {code: "D-15", alter: setSub("RawMessageDelivery", "true")},
		"D-17":                {code: "D-17", alter: setSub("RedrivePolicy", "")},
		"D-18 FIFO":           {code: "D-18", alter: setSub("RedrivePolicy", `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:net.fifo"}`)},
		"D-18 another region": {code: "D-18", alter: setSub("RedrivePolicy", `{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000000:net"}`)},
		"D-19 KMS": {code: "D-19", alter: func(s *topology.State, o *doctor.Options) {
			s.Queues["orders-mail-delivery-dlq"].Attributes["KmsMasterKeyId"] = "k1"
			o.Keys = &recordedKeys{State: "Enabled", Policy: keyPolicy("other")}
		}},
		"D-20": {code: "D-20", alter: set("orders-mail-delivery-dlq", "KmsMasterKeyId", "alias/aws/sqs")},
		"D-21 a queue of ours": {code: "D-21", alter: func(s *topology.State, _ *doctor.Options) {
			s.Topics["orders"].Subscriptions = append(s.Topics["orders"].Subscriptions, &topology.SubscriptionState{
				Subscription: queue.Subscription{ARN: "arn:aws:sns:us-east-1:000000000000:orders:2", Protocol: "sqs", Endpoint: account.QueueARN("mail")},
			})
		}},
		"D-21 a queue that is gone": {code: "D-21", alter: func(s *topology.State, _ *doctor.Options) {
			s.Topics["orders"].Subscriptions = append(s.Topics["orders"].Subscriptions, &topology.SubscriptionState{
				Subscription: queue.Subscription{ARN: "arn:aws:sns:us-east-1:000000000000:orders:2", Protocol: "sqs", Endpoint: account.QueueARN("old")},
			})
			s.Others[account.QueueARN("old")] = &topology.QueueState{Name: "old", ARN: account.QueueARN("old"), Err: queue.ErrNotFound}
		}},
		"D-21 pending": {code: "D-21", alter: func(s *topology.State, _ *doctor.Options) {
			s.Strays = append(s.Strays, &topology.Stray{
				Subscription: queue.Subscription{ARN: "PendingConfirmation", TopicARN: account.TopicARN("news"), Protocol: "sqs", Endpoint: account.QueueARN("mail")},
			})
		}},
		"D-22": {code: "D-22", alter: func(_ *topology.State, o *doctor.Options) { o.Local, o.Alarms = false, goodAlarms() }},
		"D-24": {code: "D-24", wanted: orders(func(w *topology.Topology) { w.Topics[0].Attributes = map[string]string{"SignatureVersion": "2"} }), alter: setTopic("SignatureVersion", "1")},
		"D-25": {code: "D-25", alter: setTopic("Policy", `{"Version":"2012-10-17","Statement":[{"Sid":"No","Effect":"Deny","Principal":"*","Action":"sns:Publish","Resource":"*","Condition":{"StringNotEquals":{"aws:sourceVpce":"vpce-1"}}}]}`)},
		"D-26": {code: "D-26", alter: set("mail", "MaximumMessageSize", "262144")},
		"D-27": {code: "D-27", alter: func(s *topology.State, _ *doctor.Options) {
			s.Queues["mail-dlq"].Attributes["Policy"] = strings.ReplaceAll(s.Queues["orders-mail-delivery-dlq"].Attributes["Policy"], "orders-mail-delivery-dlq", "mail-dlq")
			setSub("RedrivePolicy", `{"deadLetterTargetArn":"`+dlqARN+`"}`)(s, nil)
		}, also: []string{"D-32"}},
		"D-28": {code: "D-28", wanted: orders(web), alter: setTopic("MaximumMessageSize", "300000"), also: []string{"D-08"}},
		"D-29": {code: "D-29", wanted: orders(func(w *topology.Topology) { w.Topics[0].Attributes = map[string]string{"TracingConfig": "PassThrough"} }), alter: setTopic("TracingConfig", "Active")},
		"D-30": {code: "D-30", alter: func(s *topology.State, _ *doctor.Options) {
			for i := range 170 {
				s.Topics["orders"].Subscriptions = append(s.Topics["orders"].Subscriptions, &topology.SubscriptionState{
					Subscription: queue.Subscription{ARN: fmt.Sprintf("arn:aws:sns:us-east-1:000000000000:orders:f%d", i), Protocol: "lambda", Endpoint: "arn:aws:lambda:us-east-1:000000000000:function:f"},
					Attributes:   map[string]string{"FilterPolicy": `{"event":["x"]}`},
				})
			}
		}},
		"D-32 topic": {code: "D-32", wanted: orders(func(w *topology.Topology) { w.Topics[0].Attributes = map[string]string{"DisplayName": "orders"} }), alter: setTopic("DisplayName", "old")},
		"D-32 net": {code: "D-32", alter: func(s *topology.State, _ *doctor.Options) {
			other := *s.Queues["orders-mail-delivery-dlq"]
			other.Name, other.ARN, other.Attributes = "net", account.QueueARN("net"), maps.Clone(other.Attributes)
			other.Attributes["Policy"] = strings.ReplaceAll(other.Attributes["Policy"], "orders-mail-delivery-dlq", "net")
			s.Others[other.ARN] = &other
			setSub("RedrivePolicy", `{"deadLetterTargetArn":"`+other.ARN+`"}`)(s, nil)
		}},

		"Q-01":         {code: "Q-01", alter: set("mail", "RedrivePolicy", "")},
		"Q-02 once":    {code: "Q-02", alter: set("mail", "RedrivePolicy", `{"deadLetterTargetArn":"`+dlqARN+`","maxReceiveCount":"1"}`)},
		"Q-02 no room": {code: "Q-02", alter: set("mail", "RedrivePolicy", `{"deadLetterTargetArn":"`+dlqARN+`","maxReceiveCount":7}`)},
		"Q-03 cycles":  {code: "Q-03", alter: withWork(func(w *doctor.Work) { w.Visibility = 8 * time.Hour })},
		"Q-03 retries": {code: "Q-03", alter: withWork(func(w *doctor.Work) { w.Retries = 5 * 24 * time.Hour })},
		"Q-04":         {code: "Q-04", alter: withWork(func(w *doctor.Work) { w.Visibility = 5 * time.Second })},
		"Q-04 unbounded": {code: "Q-04", alter: withWork(func(w *doctor.Work) {
			w.Visibility, w.Timeout, w.Unbounded = 5*time.Second, time.Second, true
		})},
		"Q-05":              {code: "Q-05", alter: withWork(func(w *doctor.Work) { w.Timeout = 12 * time.Hour })},
		"Q-06":              {code: "Q-06", alter: set("mail-dlq", "MessageRetentionPeriod", "345600")},
		"Q-06 both at most": {code: "Q-06", alter: set("mail", "MessageRetentionPeriod", "1209600")},
		"Q-08 kind":         {code: "Q-08", alter: set("mail", "RedrivePolicy", `{"deadLetterTargetArn":"`+dlqARN+`.fifo","maxReceiveCount":15}`)},
		"Q-08 account":      {code: "Q-08", alter: set("mail", "RedrivePolicy", `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:111111111111:mail-dlq","maxReceiveCount":15}`)},
		"Q-08 region":       {code: "Q-08", alter: set("mail", "RedrivePolicy", `{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000000:mail-dlq","maxReceiveCount":15}`)},
		"Q-09 denyAll":      {code: "Q-09", alter: set("mail-dlq", "RedriveAllowPolicy", `{"redrivePermission":"denyAll"}`)},
		"Q-09 byQueue":      {code: "Q-09", alter: set("mail-dlq", "RedriveAllowPolicy", `{"redrivePermission":"byQueue","sourceQueueArns":["arn:aws:sqs:us-east-1:000000000000:other"]}`)},
		"Q-10 a chain":      {code: "Q-10", alter: set("mail-dlq", "RedrivePolicy", `{"deadLetterTargetArn":"`+account.QueueARN("other")+`","maxReceiveCount":5}`)},
		"Q-10 a worker": {code: "Q-10", alter: func(_ *topology.State, o *doctor.Options) {
			o.Work["mail-dlq"] = doctor.Work{Visibility: time.Minute, Wait: time.Second}
		}, also: []string{"Q-01"}},
		"Q-11": {code: "Q-11", wanted: orders(logged), alter: func(_ *topology.State, o *doctor.Options) {
			o.Local, o.Alarms = false, recordedAlarms{by: map[string][]doctor.Alarm{"ApproximateNumberOfMessagesVisible orders-mail-delivery-dlq": {{Name: "page", Enabled: true, Actions: 1}}}}
		}},
		"Q-11 NumberOfMessagesSent will not do": {code: "Q-11", wanted: orders(logged), alter: func(_ *topology.State, o *doctor.Options) {
			a := goodAlarms()
			a.by["ApproximateNumberOfMessagesVisible mail-dlq"] = nil
			o.Local, o.Alarms = false, a
		}},
		"Q-12": {code: "Q-12", wanted: orders(logged), alter: func(_ *topology.State, o *doctor.Options) {
			a := goodAlarms()
			a.by["ApproximateNumberOfMessagesVisible mail-dlq"] = []doctor.Alarm{{Name: "quiet", Enabled: true}, {Name: "off", Actions: 1}}
			o.Local, o.Alarms = false, a
		}},
		"Q-13":       {code: "Q-13", alter: set("mail", "MessageRetentionPeriod", "43200")},
		"Q-14":       {code: "Q-14", alter: withWork(func(w *doctor.Work) { w.Wait = 0 })},
		"Q-15":       {code: "Q-15", alter: func(_ *topology.State, o *doctor.Options) { o.HTTPTimeout = 20 * time.Second }},
		"Q-16":       {code: "Q-16", alter: set("mail", "ApproximateNumberOfMessagesNotVisible", "118000")},
		"Q-16 slots": {code: "Q-16", alter: withWork(func(w *doctor.Work) { w.Slots = 200_000 })},
		"Q-17":       {code: "Q-17", alter: set("mail", "DelaySeconds", "30")},
		"Q-18":       {code: "Q-18", alter: set("mail-dlq", "MaximumMessageSize", "65536")},
		"Q-19":       {code: "Q-19", wanted: orders(fifo), alter: func(_ *topology.State, o *doctor.Options) { o.Samples = []doctor.Sample{{Name: "s", Body: "{}"}} }},
		"Q-20 a queue": {code: "Q-20", wanted: orders(fifo), alter: func(s *topology.State, o *doctor.Options) {
			s.Queues["mail.fifo"].Attributes["ContentBasedDeduplication"] = "true"
			w := o.Work["mail.fifo"]
			w.ByAttribute = true
			o.Work["mail.fifo"] = w
		}},
		"Q-20 samples": {code: "Q-20", wanted: orders(fifo), alter: func(s *topology.State, o *doctor.Options) {
			s.Topics["orders.fifo"].Attributes["ContentBasedDeduplication"] = "true"
			o.Samples = []doctor.Sample{{Name: "1", Body: "{}", Attributes: map[string]doctor.Attribute{"job": {Type: "String", Value: "a"}}}, {Name: "2", Body: "{}"}}
		}},
		"Q-23": {code: "Q-23", alter: set("mail", "SqsManagedSseEnabled", "false")},
		"Q-25": {code: "Q-25", alter: func(s *topology.State, _ *doctor.Options) {
			s.Queues["mail"].Attributes["Policy"] = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"}]}`
		}},
		"Q-26": {code: "Q-26", alter: func(s *topology.State, _ *doctor.Options) {
			var p map[string]any
			if err := json.Unmarshal([]byte(s.Queues["mail"].Attributes["Policy"]), &p); err != nil {
				panic(err)
			}
			for i := range 18 {
				p["Statement"] = append(p["Statement"].([]any), map[string]any{"Sid": fmt.Sprint("other", i), "Effect": "Allow", "Principal": map[string]string{"AWS": "111111111111"}, "Action": "sqs:SendMessage", "Resource": "*"})
			}
			text, _ := json.Marshal(p)
			s.Queues["mail"].Attributes["Policy"] = string(text)
		}},
		"Q-27": {code: "Q-27", alter: func(_ *topology.State, o *doctor.Options) {
			o.Rights = recordedRights{"mail": {"sqs:ChangeMessageVisibility"}}
		}},
		"Q-27 a dead letter": {code: "Q-27", alter: func(_ *topology.State, o *doctor.Options) {
			o.Rights = recordedRights{"send to mail-dlq": {"sqs:SendMessage"}, "send to mail": {"sqs:SendMessage"}}
		}},
		"Q-27 a schedule": {code: "Q-27", alter: func(_ *topology.State, o *doctor.Options) {
			o.Topology.Queues = slices.Clone(o.Topology.Queues)
			o.Topology.Queues[0].Scheduled = true
			o.Rights = recordedRights{"send to mail": {"sqs:SendMessage"}}
		}},
		"Q-30 running": {code: "Q-30", alter: func(s *topology.State, _ *doctor.Options) {
			s.Queues["mail-dlq"].MoveTasks = []queue.MoveTask{{Status: "RUNNING", Handle: "h", ToMove: 7}}
		}},
		"Q-30 failed": {code: "Q-30", alter: func(s *topology.State, _ *doctor.Options) {
			s.Queues["mail-dlq"].MoveTasks = []queue.MoveTask{{Status: "FAILED", Failure: "AccessDenied"}}
		}},
		"Q-32": {code: "Q-32", alter: func(s *topology.State, o *doctor.Options) {
			s.Queues["far"] = &topology.QueueState{Name: "far", ARN: "arn:aws:sqs:eu-west-1:000000000000:far", Err: queue.ErrNotFound}
			o.Work["far"] = doctor.Work{Wait: time.Second}
			o.Topology.Queues = append(slices.Clone(o.Topology.Queues), topology.Queue{Name: "far", ARN: "arn:aws:sqs:eu-west-1:000000000000:far", Unmanaged: true})
		}},
		"Q-34":            {code: "Q-34", alter: func(_ *topology.State, o *doctor.Options) { o.Grace = 25 * time.Second }},
		"Q-36 visibility": {code: "Q-36", alter: set("mail", "VisibilityTimeout", "30")},
		"Q-36 retention":  {code: "Q-36", wanted: orders(func(w *topology.Topology) { w.Queues[0].Retention = 4 * 24 * time.Hour }), alter: set("mail", "MessageRetentionPeriod", "432000")},
		"Q-36 attribute":  {code: "Q-36", wanted: orders(func(w *topology.Topology) { w.Queues[0].Attributes = map[string]string{"DelaySeconds": "5"} }), alter: set("mail", "DelaySeconds", "0")},
		"Q-36 redrive":    {code: "Q-36", alter: set("mail", "RedrivePolicy", `{"deadLetterTargetArn":"`+dlqARN+`","maxReceiveCount":20}`)},
		"Q-37": {code: "Q-37", wanted: orders(fifo), alter: func(s *topology.State, _ *doctor.Options) {
			s.Topics["orders.fifo"].Attributes["FifoThroughputScope"] = "MessageGroup"
		}},
	}
}

// logged lets SNS say why deliveries fail.
func logged(w *topology.Topology) {
	w.Topics[0].Attributes = map[string]string{"SQSFailureFeedbackRoleArn": "arn:aws:iam::000000000000:role/logs"}
}

// Each misconfiguration is found, and nothing else; the same topology without it is healthy.
func TestEachFaultIsNamed(t *testing.T) {
	for name, f := range faults() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, wanted := newKit(t, localaws.Options{}), f.wanted
				if wanted.Topics == nil {
					wanted = orders()
				}
				_, err := wanted.Apply(t.Context(), k.Client, account, nil)
				if err != nil && !slices.Contains(f.also, "D-08") {
					t.Fatal(err)
				}
				healthy := k.examine(t, wanted)
				for _, found := range healthy.Findings {
					if !slices.Contains(f.also, found.Code) {
						t.Errorf("healthy, and found: %v", found)
					}
				}
				r := k.examine(t, wanted, func(o *doctor.Options) { f.alter(o.State, o) })
				want := append([]string{f.code}, f.also...)
				got := codes(r)
				slices.Sort(want)
				slices.Sort(got)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("findings (-want +got):\n%s\n%v", diff, r.Findings)
				}
				for _, found := range r.Findings {
					if found.Title == "" || len(found.Evidence) == 0 || found.Happens == "" || found.Mend.Text == "" {
						t.Errorf("incomplete: %+v", found)
					}
				}
			})
		})
	}
}

// What may not be read is unknown, and the exit code says that it is not healthy.
func TestDeniedIsUnknown(t *testing.T) {
	for name, alter := range map[string]func(*topology.State, *doctor.Options){
		"sqs:GetQueueAttributes": func(s *topology.State, _ *doctor.Options) {
			s.Queues["mail"].Attributes, s.Queues["mail"].Err = nil, queue.ErrDenied
		},
		"sns:GetTopicAttributes": func(s *topology.State, _ *doctor.Options) {
			s.Topics["orders"].Attributes, s.Topics["orders"].Err = nil, queue.ErrDenied
		},
		"sns:ListSubscriptionsByTopic": func(s *topology.State, _ *doctor.Options) {
			s.Topics["orders"].Subscriptions, s.Topics["orders"].ListErr = nil, queue.ErrDenied
		},
		"sns:GetSubscriptionAttributes": func(s *topology.State, _ *doctor.Options) {
			s.Topics["orders"].Subscriptions[0].Attributes, s.Topics["orders"].Subscriptions[0].Err = nil, queue.ErrDenied
		},
		"sqs:ListMessageMoveTasks": func(s *topology.State, _ *doctor.Options) { s.Queues["mail-dlq"].TasksErr = queue.ErrDenied },
		"kms:DescribeKey":          key(recordedKeys{Err: queue.ErrDenied}),
		"cloudwatch:DescribeAlarms": func(s *topology.State, o *doctor.Options) {
			s.Topics["orders"].Attributes["SQSFailureFeedbackRoleArn"] = "arn:aws:iam::000000000000:role/logs"
			o.Local, o.Alarms = false, recordedAlarms{err: queue.ErrDenied}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, wanted := newKit(t, localaws.Options{}), orders()
				k.apply(t, wanted)
				r := k.examine(t, wanted, func(o *doctor.Options) { alter(o.State, o) })
				if len(r.Findings) > 0 || r.ExitCode() != doctor.ExitWarnings {
					t.Errorf("exit code %d, findings %v", r.ExitCode(), r.Findings)
				}
				if !slices.ContainsFunc(r.Unknown, func(u doctor.Unknown) bool {
					return u.Refused && strings.Contains(u.Reason, name) && strings.Contains(u.Mend, name) && len(u.Codes) > 0
				}) {
					t.Errorf("not unknown: %+v", r.Unknown)
				}
			})
		})
	}
}

// A queue of another account or region that SQS does not know may be there all the same.
func TestQueueElsewhere(t *testing.T) {
	for _, arn := range []string{"arn:aws:sqs:us-east-1:111111111111:theirs", "arn:aws:sqs:eu-west-1:000000000000:far"} {
		synctest.Test(t, func(t *testing.T) {
			k := newKit(t, localaws.Options{})
			wanted := orders()
			k.apply(t, wanted)
			wanted.Subscriptions = append(wanted.Subscriptions, topology.Subscription{Topic: "orders", Queue: arn, DLQ: "orders-mail-delivery-dlq"})
			r := k.examine(t, wanted, func(o *doctor.Options) {
				o.State.Others[arn] = &topology.QueueState{Name: "theirs", ARN: arn, Err: queue.ErrNotFound}
				mine := *o.State.Topics["orders"].Subscriptions[0]
				mine.Endpoint = arn
				o.State.Topics["orders"].Subscriptions = append(o.State.Topics["orders"].Subscriptions, &mine)
			})
			if len(r.Findings) > 0 || !slices.ContainsFunc(r.Unknown, func(u doctor.Unknown) bool { return slices.Contains(u.Codes, "D-10") }) {
				t.Errorf("%s: findings %v, unknown %+v", arn, r.Findings, r.Unknown)
			}
		})
	}
}

// A policy with a condition that nobody here understands is neither right nor wrong.
func TestPolicyThatIsNotUnderstood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, wanted := newKit(t, localaws.Options{}), orders()
		k.apply(t, wanted)
		r := k.examine(t, wanted, func(o *doctor.Options) {
			o.State.Queues["mail"].Attributes["Policy"] = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*","Condition":{"StringEqualsNextYear":{"aws:SourceArn":"x"}}}]}`
		})
		if len(r.Findings) > 0 || !slices.ContainsFunc(r.Unknown, func(u doctor.Unknown) bool { return slices.Contains(u.Codes, "D-01") }) {
			t.Errorf("findings %v, unknown %+v", r.Findings, r.Unknown)
		}
	})
}

// fifty are 50 queues on 5 topics, with everything that can be declared somewhere.
func fifty() topology.Topology {
	var w topology.Topology
	logs := map[string]string{"SQSFailureFeedbackRoleArn": "arn:aws:iam::000000000000:role/logs", "SignatureVersion": "2"}
	for i := range 5 {
		name := fmt.Sprintf("topic%d", i)
		if i == 4 {
			name += ".fifo"
		}
		attributes := maps.Clone(logs)
		if i == 4 {
			delete(attributes, "SignatureVersion")
		}
		w.Topics = append(w.Topics, topology.Topic{Name: name, Attributes: attributes})
	}
	for i := range 50 {
		topic := w.Topics[i%5].Name
		q := topology.Queue{Name: fmt.Sprintf("queue%02d", i), MaxReceiveCount: 15, Visibility: time.Minute}
		if i%5 == 4 {
			q.Name += ".fifo"
		}
		if i%7 == 0 {
			q.Attributes = map[string]string{"DelaySeconds": "5", "KmsMasterKeyId": "alias/ours"}
		}
		q.DLQ = topology.DLQName(q.Name)
		s := topology.Subscription{Topic: topic, Queue: q.Name, Raw: i%3 == 0, DLQ: topology.DeliveryDLQName(topic, q.Name)}
		switch i % 4 {
		case 1:
			s.Filter, s.FilterOn = `{"event":["a",{"prefix":"b"}],"n":[{"numeric":[">",0,"<=",5]}]}`, "attributes"
		case 2:
			s.Filter, s.FilterOn = `{"order":{"state":[{"anything-but":"new"}]},"$or":[{"a":["x"]},{"b":[true]}]}`, "body"
		}
		w.Queues, w.Subscriptions = append(w.Queues, q), append(w.Subscriptions, s)
		if i%10 == 0 { // and a second topic
			w.Subscriptions = append(w.Subscriptions, topology.Subscription{Topic: w.Topics[i/10%3+1].Name, Queue: q.Name, DLQ: topology.DeliveryDLQName(w.Topics[i/10%3+1].Name, q.Name)})
		}
	}
	return w
}

// Fifty queues that are well have no finding, also with KMS, CloudWatch and the permissions asked, and
// statements of others in their policies.
func TestFiftyHealthyQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, wanted := newKit(t, localaws.Options{}), fifty()
		k.apply(t, wanted)
		foreign := `{"Sid":"theirs","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"sqs:SendMessage","Resource":"*"},{"Sid":"tls","Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}},`
		policy := k.policy(t, "queue01")
		k.setPolicy(t, "queue01", strings.Replace(policy, `"Statement":[`, `"Statement":[`+foreign, 1))
		r := k.examine(t, wanted, func(o *doctor.Options) {
			o.Local, o.Alarms, o.Rights = false, goodAlarms(), recordedRights{}
			o.Keys = &recordedKeys{State: "Enabled", Policy: strings.ReplaceAll(keyPolicy("*"), "ArnEquals", "ArnLike")}
			o.Samples = []doctor.Sample{{Name: "s", Dedup: "1", Body: `{"order":{"state":"paid"},"a":"x"}`, Attributes: map[string]doctor.Attribute{"event": {Type: "String", Value: "bc"}, "n": {Type: "Number", Value: "3"}}}}
		})
		for _, f := range r.Findings {
			t.Errorf("%v", f.Error())
		}
		if len(r.Unknown) > 0 || r.ExitCode() != doctor.ExitHealthy {
			t.Errorf("exit code %d, unknown %+v", r.ExitCode(), r.Unknown)
		}
		if r.Queues != 50 || r.DeadLetterQueues != 50+55 || r.Topics != 5 || r.Subscriptions != 55 {
			t.Errorf("looked at %d queues, %d topics, %d subscriptions", r.Queues, r.Topics, r.Subscriptions)
		}
	})
}

// What the worker can know when it starts has no false finding either.
func TestBriefLook(t *testing.T) {
	world(t, func(t *testing.T) {
		k, wanted := newKit(t, localaws.Options{}), fifty()
		k.apply(t, wanted)
		brief := func() *doctor.Report {
			s, err := wanted.Observe(t.Context(), k.Client, account, topology.ObserveOptions{Brief: true})
			must(t, err)
			return examine(t, doctor.Options{Topology: wanted, State: s, Work: workOf(wanted), Brief: true, Local: true})
		}
		if r := brief(); len(r.Findings) > 0 {
			t.Fatalf("healthy, and found: %v", r.Findings)
		}
		k.setPolicy(t, "queue03", "")
		r := brief()
		if diff := cmp.Diff([]string{"D-01"}, codes(r)); diff != "" {
			t.Fatalf("findings (-want +got):\n%s", diff)
		}
		if r.Lost("queue03") == nil || r.Lost("queue04.fifo") != nil {
			t.Errorf("queue03: %v, queue04: %v", r.Lost("queue03"), r.Lost("queue04.fifo"))
		}
	})
}

// The end of the context is the only error.
func TestExamineEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := doctor.Examine(ctx, doctor.Options{State: &topology.State{}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Every finding of the tests is in the catalogue, and every check that can be seen is in the tests.
func TestCatalogueIsComplete(t *testing.T) {
	tested := map[string]bool{"D-08": true, "D-31": true, "Q-07": true, "Q-35": true}
	for _, l := range losses() {
		tested[l.code] = true
	}
	for _, f := range faults() {
		tested[f.code] = true
	}
	seen := map[string]bool{}
	for _, c := range doctor.Catalogue() {
		if seen[c.Code] = true; c.Title == "" || c.Story == "" || !slices.Contains(doctor.Severities(), c.Severity) {
			t.Errorf("incomplete: %+v", c)
		}
		if tested[c.Code] == c.Unseen() {
			t.Errorf("%s: tested %v, unseen %v", c.Code, tested[c.Code], c.Unseen())
		}
	}
	for n := 1; n <= 32; n++ {
		if !seen[fmt.Sprintf("D-%02d", n)] {
			t.Errorf("D-%02d is missing", n)
		}
	}
	for n := 1; n <= 37; n++ {
		if !seen[fmt.Sprintf("Q-%02d", n)] {
			t.Errorf("Q-%02d is missing", n)
		}
	}
	if _, ok := doctor.Explain("d-01"); !ok {
		t.Error("d-01 is not explained")
	}
	if _, ok := doctor.Explain("D-99"); ok {
		t.Error("D-99 is explained")
	}
	if _, err := os.Stat("catalogue.md"); err != nil {
		t.Error(err)
	}
}
