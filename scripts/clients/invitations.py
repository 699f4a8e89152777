"""Publishes 1,000 invitations with boto3 to a running `worker dev` and waits until its three jobs have
done them: 3,000 in all, none twice, nothing left in any queue."""
import json
import sys
import time
import urllib.request

import boto3

N = 1000


def status():
    with urllib.request.urlopen(sys.argv[1]) as answer:
        return json.load(answer)["queues"]


def grown(after, before, what):
    return {name: q[what] - before[name][what] for name, q in after.items()}


sns, sqs = boto3.client("sns"), boto3.client("sqs")
topic = next(t["TopicArn"] for t in sns.list_topics()["Topics"] if t["TopicArn"].endswith(":invitations"))
before, began = status(), time.monotonic()
for start in range(0, N, 10):
    answer = sns.publish_batch(
        TopicArn=topic,
        PublishBatchRequestEntries=[
            {"Id": str(i), "Message": json.dumps({"event": "user_invited", "email": f"user{start + i}@example.com"})}
            for i in range(10)
        ],
    )
    assert len(answer["Successful"]) == 10, answer
while min(grown(status(), before, "deleted").values()) < N:
    assert time.monotonic() - began < 60, status()
    time.sleep(0.05)
took, after = time.monotonic() - began, status()
for what in ("received", "done", "deleted"):
    assert set(grown(after, before, what).values()) == {N}, (what, grown(after, before, what))
left = 0
for url in sqs.list_queues()["QueueUrls"]:
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    left += sum(int(value) for name, value in counts.items() if name.startswith("ApproximateNumberOf"))
assert left == 0, left
done = sum(grown(after, before, "done").values())
print(f"boto3 {boto3.__version__}: {N} invitations published, {done} jobs done, none twice, {left} messages left, in {took:.1f} s")
