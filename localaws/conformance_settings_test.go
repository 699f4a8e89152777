package localaws_test

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// redrive is a RedrivePolicy of a queue.
func redrive(target, receives string) map[string]string {
	return map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + target + `","maxReceiveCount":"` + receives + `"}`}
}

var settingFacts = []fact{
	{"§1.2", "the ARN of a queue is its region, account and name", func(k *conformance) {
		k.same("QueueArn", k.arn(k.queue("", nil)), "arn:aws:sqs:us-east-1:000000000000:"+k.prefix)
	}},
	{"§1.2", "the ARN of a topic is its region, account and name", func(k *conformance) {
		k.same("TopicArn", *k.topic(nil), "arn:aws:sns:us-east-1:000000000000:"+k.prefix)
	}},
	{"§1.2", "a queue's name has letters, digits, - and _", func(k *conformance) {
		k.queue("_A-1", nil)
		_, err := k.createQueue(".a", nil)
		k.refused(err, codeValue, "alphanumeric")
	}},
	{"§1.2", "a topic's name has at most 256 characters", func(k *conformance) {
		name := strings.Repeat("x", 256-len(k.prefix))
		_, err := k.sns.CreateTopic(k.ctx, &sns.CreateTopicInput{Name: aws.String(k.prefix + name)})
		k.must(err)
		_, err = k.sns.CreateTopic(k.ctx, &sns.CreateTopicInput{Name: aws.String(k.prefix + name + "x")})
		k.refused(err, codeParameter, "Topic Name")
	}},
	{"§1.2", "SQS makes no dead-letter queue by itself", func(k *conformance) {
		k.refused(k.setQueue(k.queue("", nil), redrive("arn:aws:sqs:us-east-1:000000000000:"+k.prefix+"-none", "3")), codeValue, "RedrivePolicy")
	}},
	{"§1.2", "a RedriveAllowPolicy lists at most ten queues", func(k *conformance) {
		list := strings.Repeat(`"arn:aws:sqs:us-east-1:000000000000:q",`, 11)
		err := k.setQueue(k.queue("", nil), map[string]string{"RedriveAllowPolicy": `{"redrivePermission":"byQueue","sourceQueueArns":[` + strings.TrimSuffix(list, ",") + `]}`})
		k.refused(err, codeValue, "")
	}},
	{"§1.2", "a queue that denies all is nobody's dead-letter queue", func(k *conformance) {
		dlq := k.queue("-dlq", map[string]string{"RedriveAllowPolicy": `{"redrivePermission":"denyAll"}`})
		k.refused(k.setQueue(k.queue("", nil), redrive(k.arn(dlq), "3")), codeValue, "")
	}},
	{"§1.3", "CreateQueue with another value names the attribute", func(k *conformance) {
		k.queue("", map[string]string{"VisibilityTimeout": "40"})
		_, err := k.createQueue("", map[string]string{"VisibilityTimeout": "41"})
		k.refused(err, codeExists, "A queue already exists with the same name and a different value for attribute VisibilityTimeout")
	}},
	{"§1.3", "a queue that was deleted cannot be created again at once", func(k *conformance) {
		_, err := k.sqs.DeleteQueue(k.ctx, deleteQueue(k.queue("", nil)))
		k.must(err)
		_, err = k.createQueue("", nil)
		k.refused(err, "AWS.SimpleQueueService.QueueDeletedRecently", "60 seconds")
	}},
	{"§1.3", "a policy is replaced whole", func(k *conformance) {
		q := k.queue("", nil)
		for _, topic := range []string{"first", "second"} {
			k.allow(q, "arn:aws:sns:us-east-1:000000000000:"+topic)
		}
		policy := k.attributes(q)["Policy"]
		k.same("the second is there", strings.Contains(policy, ":second"), true)
		k.same("the first is there", strings.Contains(policy, ":first"), false)
	}},
	{"§1.3", "a queue without a policy reads none", func(k *conformance) {
		k.same("Policy", k.attributes(k.queue("", nil))["Policy"], "")
	}},
	{"§1.3", "maxReceiveCount is a whole number", func(k *conformance) {
		q, dlq := k.queue("", nil), k.queue("-dlq", nil)
		k.refused(k.setQueue(q, redrive(k.arn(dlq), "many")), codeValue, "maxReceiveCount")
	}},
	{"§1.3", "CreateTopic with some of its tags returns the topic", func(k *conformance) {
		tag := func(key string) snstypes.Tag { return snstypes.Tag{Key: &key, Value: aws.String("v")} }
		first, err := k.sns.CreateTopic(k.ctx, &sns.CreateTopicInput{Name: &k.prefix, Tags: []snstypes.Tag{tag("a"), tag("b")}})
		k.must(err)
		again, err := k.sns.CreateTopic(k.ctx, &sns.CreateTopicInput{Name: &k.prefix, Tags: []snstypes.Tag{tag("a")}})
		k.must(err)
		k.same("ARN", *again.TopicArn, *first.TopicArn)
	}},
	{"§1.5", "SQS's own keys and KMS's exclude each other", func(k *conformance) {
		err := k.setQueue(k.queue("", nil), map[string]string{"SqsManagedSseEnabled": "true", "KmsMasterKeyId": "key"})
		k.refused(err, codeAttributeKey, "You can use one type of server-side encryption (SSE) at one time")
	}},
	{"§1.5", "KmsDataKeyReusePeriodSeconds is not shown without a key", func(k *conformance) {
		_, has := k.attributes(k.queue("", nil))["KmsDataKeyReusePeriodSeconds"]
		k.same("KmsDataKeyReusePeriodSeconds is there", has, false)
	}},
	{"§2.2", "messages are kept four days, and from a minute to two weeks when it is said", func(k *conformance) {
		q := k.queue("", nil)
		k.same("MessageRetentionPeriod", k.attributes(q)["MessageRetentionPeriod"], "345600")
		for _, good := range []string{"60", "1209600"} {
			k.must(k.setQueue(q, map[string]string{"MessageRetentionPeriod": good}))
		}
		for _, bad := range []string{"59", "1209601"} {
			k.refused(k.setQueue(q, map[string]string{"MessageRetentionPeriod": bad}), codeAttribute, "MessageRetentionPeriod")
		}
	}},
	{"§2.2", "a new queue is polled short", func(k *conformance) {
		k.same("ReceiveMessageWaitTimeSeconds", k.attributes(k.queue("", nil))["ReceiveMessageWaitTimeSeconds"], "0")
	}},
	{"§2.2", "DelaySeconds of a queue delays its messages", func(k *conformance) {
		q := k.queue("", map[string]string{"DelaySeconds": "1"})
		k.send(q)
		k.same("ApproximateNumberOfMessagesDelayed", k.attributes(q)["ApproximateNumberOfMessagesDelayed"], "1")
		k.one(q, 30)
	}},
	{"§2.2", "a queue of another region does not exist here", func(k *conformance) {
		q := k.queue("", nil)
		there := func(o *sqs.Options) { o.Region = "eu-west-1" }
		_, err := k.sqs.GetQueueUrl(k.ctx, &sqs.GetQueueUrlInput{QueueName: &k.prefix}, there)
		k.refused(err, codeNoQueue, "The specified queue does not exist")
		_, err = k.sqs.GetQueueUrl(k.ctx, &sqs.GetQueueUrlInput{QueueName: &k.prefix})
		k.must(err)
		k.send(q)
	}},
	{"§5.1", "a new queue hides what is received for 30 s", func(k *conformance) {
		k.same("VisibilityTimeout", k.attributes(k.queue("", nil))["VisibilityTimeout"], "30")
	}},
	{"§5.1", "a queue's visibility timeout is 0 to 43,200 s", func(k *conformance) {
		q := k.queue("", nil)
		for _, good := range []string{"0", "43200"} {
			k.must(k.setQueue(q, map[string]string{"VisibilityTimeout": good}))
		}
		k.refused(k.setQueue(q, map[string]string{"VisibilityTimeout": "43201"}), codeAttribute, "VisibilityTimeout")
	}},
}
