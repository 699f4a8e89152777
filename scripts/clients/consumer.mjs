// A worker that somebody else wrote, in another language: sqs-consumer takes 200 messages in batches, fails
// each tenth once, and must see that one again and every message deleted.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
	CreateQueueCommand, DeleteQueueCommand, GetQueueAttributesCommand, SendMessageBatchCommand, SQSClient,
} from "@aws-sdk/client-sqs";
import { Consumer } from "sqs-consumer";

const messages = 200;
const sqs = new SQSClient({ endpoint: process.env.AWS_ENDPOINT_URL });
const { QueueUrl: queueUrl } = await sqs.send(
	new CreateQueueCommand({ QueueName: `consumer-${process.pid}`, Attributes: { VisibilityTimeout: "20" } }),
);
for (let i = 0; i < messages; i += 10) {
	const Entries = Array.from({ length: 10 }, (_, n) => ({ Id: String(n), MessageBody: String(i + n) }));
	const { Successful } = await sqs.send(new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries }));
	assert.equal(Successful.length, 10);
}

const seen = new Map();
let done = 0;
const finished = Promise.withResolvers ? Promise.withResolvers() : deferred();
function deferred() {
	const d = {};
	d.promise = new Promise((resolve, reject) => Object.assign(d, { resolve, reject }));
	return d;
}
const consumer = Consumer.create({
	queueUrl, sqs, batchSize: 10, waitTimeSeconds: 1, terminateVisibilityTimeout: true, pollingCompleteWaitTimeMs: 5000,
	handleMessage: async (message) => {
		const times = (seen.get(message.Body) ?? 0) + 1;
		seen.set(message.Body, times);
		if (Number(message.Body) % 10 === 0 && times === 1) throw new Error("once");
		if (++done === messages) finished.resolve();
		return message;
	},
});
consumer.on("error", finished.reject);
consumer.on("processing_error", () => {}); // the ones that fail on purpose
consumer.start();
const giveUp = setTimeout(() => finished.reject(new Error(`only ${done} of ${messages} in 60 s`)), 60_000);
await finished.promise;
clearTimeout(giveUp);
const stopped = new Promise((resolve) => consumer.once("stopped", resolve));
consumer.stop();
await stopped;

const again = [...seen.values()].filter((times) => times === 2).length;
assert.equal(seen.size, messages);
assert.equal(again, messages / 10);
const { Attributes: left } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl: queueUrl, AttributeNames: ["All"] }));
assert.deepEqual([left.ApproximateNumberOfMessages, left.ApproximateNumberOfMessagesNotVisible], ["0", "0"]);
await sqs.send(new DeleteQueueCommand({ QueueUrl: queueUrl }));
const { version } = JSON.parse(readFileSync(new URL("node_modules/sqs-consumer/package.json", import.meta.url)));
console.log(`sqs-consumer ${version}: ${messages} messages handled, ${again} of them again after a failure, 0 left`);
