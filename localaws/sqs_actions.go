package localaws

import (
	"encoding/json"
	"unicode/utf8"
)

// sqsActions are the actions of SQS, by name.
var sqsActions = map[string]func(*call) (any, error){
	"CreateQueue":                  sqs(createQueue),
	"GetQueueUrl":                  sqs(getQueueURL),
	"ListQueues":                   sqs(listQueues),
	"DeleteQueue":                  sqs(deleteQueue),
	"PurgeQueue":                   sqs(purgeQueue),
	"GetQueueAttributes":           sqs(getQueueAttributes),
	"SetQueueAttributes":           sqs(setQueueAttributes),
	"ListDeadLetterSourceQueues":   sqs(listDeadLetterSourceQueues),
	"TagQueue":                     sqs(tagQueue),
	"UntagQueue":                   sqs(untagQueue),
	"ListQueueTags":                sqs(listQueueTags),
	"SendMessage":                  sqs(sendMessage),
	"SendMessageBatch":             sqs(sendMessageBatch),
	"ReceiveMessage":               sqs(receiveMessage),
	"DeleteMessage":                sqs(deleteMessage),
	"DeleteMessageBatch":           sqs(deleteMessageBatch),
	"ChangeMessageVisibility":      sqs(changeMessageVisibility),
	"ChangeMessageVisibilityBatch": sqs(changeMessageVisibilityBatch),
}

// sqsLater are the actions of AWS that this server cannot do yet.
var sqsLater = map[string]bool{
	"AddPermission": true, "RemovePermission": true,
	"StartMessageMoveTask": true, "CancelMessageMoveTask": true, "ListMessageMoveTasks": true,
}

// sqs turns an action on its decoded input into one on a call.
func sqs[In any](action func(*call, *In) (any, error)) func(*call) (any, error) {
	return func(c *call) (any, error) {
		in := new(In)
		if !utf8.Valid(c.body) {
			// encoding/json would quietly put U+FFFD where the bytes are wrong.
			return nil, refuse("SerializationException", "the request is not valid UTF-8")
		}
		if len(c.body) > 0 {
			if err := json.Unmarshal(c.body, in); err != nil {
				return nil, refuse("SerializationException", "%v", err)
			}
		}
		return action(c, in)
	}
}

func (c *call) runSQS() (any, error) {
	if action := sqsActions[c.action]; action != nil {
		return action(c)
	}
	if sqsLater[c.action] {
		return nil, unsupported(c.action)
	}
	return nil, refuse("UnknownOperationException", "The operation %s is not known to SQS.", c.action)
}
