package localaws

// sqsActions are the actions of SQS.
var sqsActions = []action{
	{name: "AddPermission", does: "lets another account use a queue", run: sqs(addPermission)},
	{name: "CancelMessageMoveTask", does: "stops a message move task", run: sqs(cancelMessageMoveTask)},
	{name: "ChangeMessageVisibility", does: "hides a received message for longer, or shows it", run: sqs(changeMessageVisibility)},
	{name: "ChangeMessageVisibilityBatch", does: "the same for up to ten", run: sqs(changeMessageVisibilityBatch), as: "ChangeMessageVisibility"},
	{name: "CreateQueue", does: "creates a queue", run: sqs(createQueue)},
	{name: "DeleteMessage", does: "deletes a received message", run: sqs(deleteMessage)},
	{name: "DeleteMessageBatch", does: "deletes up to ten", run: sqs(deleteMessageBatch), as: "DeleteMessage"},
	{name: "DeleteQueue", does: "deletes a queue and what is in it", run: sqs(deleteQueue)},
	{name: "GetQueueAttributes", does: "reads a queue's attributes and counts", run: sqs(getQueueAttributes)},
	{name: "GetQueueUrl", does: "finds a queue by its name", run: sqs(getQueueURL)},
	{name: "ListDeadLetterSourceQueues", does: "lists the queues that a dead-letter queue serves", run: sqs(listDeadLetterSourceQueues)},
	{name: "ListMessageMoveTasks", does: "lists the message move tasks of a queue", run: sqs(listMessageMoveTasks)},
	{name: "ListQueueTags", does: "lists a queue's tags", run: sqs(listQueueTags)},
	{name: "ListQueues", does: "lists the queues of a region", run: sqs(listQueues)},
	{name: "PurgeQueue", does: "deletes all messages of a queue", run: sqs(purgeQueue)},
	{name: "ReceiveMessage", does: "receives up to ten messages, and waits for the first", run: sqs(receiveMessage)},
	{name: "RemovePermission", does: "takes a permission away", run: sqs(removePermission)},
	{name: "SendMessage", does: "sends a message", run: sqs(sendMessage)},
	{name: "SendMessageBatch", does: "sends up to ten", run: sqs(sendMessageBatch), as: "SendMessage"},
	{name: "SetQueueAttributes", does: "changes a queue's attributes", run: sqs(setQueueAttributes)},
	{name: "StartMessageMoveTask", does: "moves messages out of a dead-letter queue", run: sqs(startMessageMoveTask)},
	{name: "TagQueue", does: "tags a queue", run: sqs(tagQueue)},
	{name: "UntagQueue", does: "removes tags of a queue", run: sqs(untagQueue)},
}
