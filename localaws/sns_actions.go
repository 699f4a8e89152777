package localaws

// What SNS does for phones and its data protection have other services behind them.
const (
	forSMS    = "text messages to phones: "
	forMobile = "push notifications to phones: "
)

// snsActions are the actions of SNS.
var snsActions = []action{
	{name: "AddPermission", does: "lets another account use a topic", run: (*call).addPermission},
	{name: "CheckIfPhoneNumberIsOptedOut", does: forSMS + "whether a number gets any"},
	{name: "ConfirmSubscription", does: "confirms a subscription by its token", run: (*call).confirmSubscription, open: true},
	{name: "CreatePlatformApplication", does: forMobile + "an application"},
	{name: "CreatePlatformEndpoint", does: forMobile + "a device"},
	{name: "CreateSMSSandboxPhoneNumber", does: forSMS + "a number to try with"},
	{name: "CreateTopic", does: "creates a topic", run: (*call).createTopic, lacks: "ArchivePolicy"},
	{name: "DeleteEndpoint", does: forMobile + "removes a device"},
	{name: "DeletePlatformApplication", does: forMobile + "removes an application"},
	{name: "DeleteSMSSandboxPhoneNumber", does: forSMS + "removes a number to try with"},
	{name: "DeleteTopic", does: "deletes a topic", run: (*call).deleteTopic},
	{name: "GetDataProtectionPolicy", does: "reads a topic's data protection policy"},
	{name: "GetEndpointAttributes", does: forMobile + "reads a device"},
	{name: "GetPlatformApplicationAttributes", does: forMobile + "reads an application"},
	{name: "GetSMSAttributes", does: forSMS + "reads the settings"},
	{name: "GetSMSSandboxAccountStatus", does: forSMS + "whether the account may only try"},
	{name: "GetSubscriptionAttributes", does: "reads a subscription's attributes", run: (*call).getSubscriptionAttributes},
	{name: "GetTopicAttributes", does: "reads a topic's attributes", run: (*call).getTopicAttributes},
	{name: "ListEndpointsByPlatformApplication", does: forMobile + "lists devices"},
	{name: "ListOriginationNumbers", does: forSMS + "lists the numbers to send from"},
	{name: "ListPhoneNumbersOptedOut", does: forSMS + "lists the numbers that get none"},
	{name: "ListPlatformApplications", does: forMobile + "lists applications"},
	{name: "ListSMSSandboxPhoneNumbers", does: forSMS + "lists the numbers to try with"},
	{name: "ListSubscriptions", does: "lists the subscriptions of a region", run: (*call).listSubscriptions},
	{name: "ListSubscriptionsByTopic", does: "lists the subscriptions of a topic", run: (*call).listSubscriptionsByTopic},
	{name: "ListTagsForResource", does: "lists a topic's tags", run: (*call).listTopicTags},
	{name: "ListTopics", does: "lists the topics of a region", run: (*call).listTopics},
	{name: "OptInPhoneNumber", does: forSMS + "lets a number get some again"},
	{name: "Publish", does: "publishes a message to a topic", run: (*call).publish, lacks: "phone numbers and devices"},
	{name: "PublishBatch", does: "publishes up to ten", run: (*call).publishBatch, as: "Publish"},
	{name: "PutDataProtectionPolicy", does: "sets a topic's data protection policy"},
	{name: "RemovePermission", does: "takes a permission away", run: (*call).removePermission},
	{name: "SetEndpointAttributes", does: forMobile + "changes a device"},
	{name: "SetPlatformApplicationAttributes", does: forMobile + "changes an application"},
	{name: "SetSMSAttributes", does: forSMS + "changes the settings"},
	{name: "SetSubscriptionAttributes", does: "changes an attribute of a subscription", run: (*call).setSubscriptionAttributes},
	{name: "SetTopicAttributes", does: "changes an attribute of a topic", run: (*call).setTopicAttributes, lacks: "feedback attributes write no logs"},
	{name: "Subscribe", does: "subscribes an endpoint to a topic", run: (*call).subscribe, lacks: "protocols other than sqs, http and https deliver nowhere; ReplayPolicy"},
	{name: "TagResource", does: "tags a topic", run: (*call).tagTopic},
	{name: "Unsubscribe", does: "ends a subscription", run: (*call).unsubscribe, open: true},
	{name: "UntagResource", does: "removes tags of a topic", run: (*call).untagTopic},
	{name: "VerifySMSSandboxPhoneNumber", does: forSMS + "verifies a number to try with"},
}
