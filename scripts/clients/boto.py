"""What a program written with boto3 does with SNS and SQS, and what it expects to be told."""
import hashlib
import json
import uuid

import boto3
from botocore.exceptions import ClientError

sns, sqs, sts = boto3.client("sns"), boto3.client("sqs"), boto3.client("sts")
checks = 0


def check(what, ok):
    global checks
    assert ok, what
    checks += 1


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        check(f"{call.__name__} answers {error.response['Error']}", error.response["Error"]["Code"] == code)
        return
    raise AssertionError(f"{call.__name__} was not refused with {code}")


name = "boto-" + uuid.uuid4().hex[:8]
account = sts.get_caller_identity()["Account"]
check("an account has 12 digits", len(account) == 12)
dlq = sqs.create_queue(QueueName=name + "-dlq")["QueueUrl"]
dlq_arn = sqs.get_queue_attributes(QueueUrl=dlq, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
queue = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "0"}, tags={"team": "mail"})["QueueUrl"]
arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
check("the queue is found by name", sqs.get_queue_url(QueueName=name)["QueueUrl"] == queue)
check("tags are kept", sqs.list_queue_tags(QueueUrl=queue)["Tags"] == {"team": "mail"})
sqs.set_queue_attributes(
    QueueUrl=queue,
    Attributes={"RedrivePolicy": json.dumps({"deadLetterTargetArn": dlq_arn, "maxReceiveCount": "2"})},
)
refused("QueueAlreadyExists", sqs.create_queue, QueueName=name, Attributes={"VisibilityTimeout": "7"})
refused("AWS.SimpleQueueService.NonExistentQueue", sqs.get_queue_url, QueueName=name + "-none")
refused("ReceiptHandleIsInvalid", sqs.delete_message, QueueUrl=queue, ReceiptHandle="garbage")

body = "grüße"
sent = sqs.send_message(
    QueueUrl=queue,
    MessageBody=body,
    MessageAttributes={
        "n": {"DataType": "Number", "StringValue": "7"},
        "b": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    },
)
check("the body's checksum", sent["MD5OfMessageBody"] == hashlib.md5(body.encode()).hexdigest())
for count in ("1", "2"):
    got = sqs.receive_message(
        QueueUrl=queue, MessageAttributeNames=["All"], AttributeNames=["All"], WaitTimeSeconds=1
    )["Messages"][0]
    check("receives are counted", got["Attributes"]["ApproximateReceiveCount"] == count)
check("attributes arrive", got["MessageAttributes"]["b"]["BinaryValue"] == b"\x00\xff" and got["Body"] == body)
check("the third receive finds nothing", "Messages" not in sqs.receive_message(QueueUrl=queue))
dead = sqs.receive_message(QueueUrl=dlq, AttributeNames=["All"], WaitTimeSeconds=1)["Messages"][0]
check("it is dead and says whence", dead["Attributes"]["DeadLetterQueueSourceArn"] == arn)
check("its id stays", dead["MessageId"] == sent["MessageId"])

topic = sns.create_topic(Name=name)["TopicArn"]
subscription = sns.subscribe(
    TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True,
    Attributes={"FilterPolicy": json.dumps({"kind": ["a"]}), "RawMessageDelivery": "true"},
)["SubscriptionArn"]
kind = {"kind": {"DataType": "String", "StringValue": "a"}}
sns.publish(TopicArn=topic, Message="before the policy", MessageAttributes=kind)
check("without a policy SNS loses it in silence", "Messages" not in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1))
sqs.set_queue_attributes(
    QueueUrl=queue,
    Attributes={
        "Policy": json.dumps({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
                "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
            }],
        })
    },
)
sns.publish(TopicArn=topic, Message="other", MessageAttributes={"kind": {"DataType": "String", "StringValue": "b"}})
sns.publish(TopicArn=topic, Message="mine", MessageAttributes=kind)
got = sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["All"], WaitTimeSeconds=1)["Messages"]
check("the filter lets one through", [m["Body"] for m in got] == ["mine"])
check("raw delivery keeps attributes", got[0]["MessageAttributes"]["kind"]["StringValue"] == "a")
answer = sqs.delete_message_batch(
    QueueUrl=queue, Entries=[{"Id": "good", "ReceiptHandle": got[0]["ReceiptHandle"]}, {"Id": "bad", "ReceiptHandle": "x"}]
)
check("a batch fails by entry", [e["Id"] for e in answer["Failed"]] == ["bad"] and answer["Successful"][0]["Id"] == "good")
check("the subscription is listed",
      [s["SubscriptionArn"] for s in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]] == [subscription])
refused("NotFound", sns.get_topic_attributes, TopicArn=topic + "-none")

fifo = sqs.create_queue(QueueName=name + ".fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"})["QueueUrl"]
refused("MissingParameter", sqs.send_message, QueueUrl=fifo, MessageBody="x")
first = sqs.send_message(QueueUrl=fifo, MessageBody="1", MessageGroupId="g")
again = sqs.send_message(QueueUrl=fifo, MessageBody="1", MessageGroupId="g")
check("the same body within five minutes is one message", first["SequenceNumber"] == again["SequenceNumber"])
sqs.send_message(QueueUrl=fifo, MessageBody="2", MessageGroupId="g")
got = sqs.receive_message(QueueUrl=fifo, MaxNumberOfMessages=1)["Messages"]
check("a group is in order", [m["Body"] for m in got] == ["1"])
check("and blocked while one is in flight", "Messages" not in sqs.receive_message(QueueUrl=fifo))
sqs.delete_message(QueueUrl=fifo, ReceiptHandle=got[0]["ReceiptHandle"])
check("until it is deleted", sqs.receive_message(QueueUrl=fifo)["Messages"][0]["Body"] == "2")
for url in (queue, dlq, fifo):
    sqs.delete_queue(QueueUrl=url)
sns.delete_topic(TopicArn=topic)
protocol = sqs.meta.service_model.metadata["protocol"]
print(f"boto3 {boto3.__version__}: {checks} checks passed, SQS over {protocol}")
