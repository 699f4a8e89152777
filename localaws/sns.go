package localaws

import (
	"sort"
)

// snsActions are the actions of SNS, by name. What they do less than AWS: a topic's own Policy and
// KmsMasterKeyId are kept and not asked, feedback attributes write no logs, changes count at once
// where AWS takes up to a minute, and envelopes carry no signature.
var snsActions = map[string]queryAction{
	"CreateTopic":               (*call).createTopic,
	"DeleteTopic":               (*call).deleteTopic,
	"ListTopics":                (*call).listTopics,
	"GetTopicAttributes":        (*call).getTopicAttributes,
	"SetTopicAttributes":        (*call).setTopicAttributes,
	"Subscribe":                 (*call).subscribe,
	"Unsubscribe":               (*call).unsubscribe,
	"ListSubscriptions":         (*call).listSubscriptions,
	"ListSubscriptionsByTopic":  (*call).listSubscriptionsByTopic,
	"GetSubscriptionAttributes": (*call).getSubscriptionAttributes,
	"SetSubscriptionAttributes": (*call).setSubscriptionAttributes,
	"Publish":                   (*call).publish,
	"PublishBatch":              (*call).publishBatch,
	"TagResource":               (*call).tagTopic,
	"UntagResource":             (*call).untagTopic,
	"ListTagsForResource":       (*call).listTopicTags,

	"AddPermission":             later("AddPermission (write the topic's Policy)"),
	"RemovePermission":          later("RemovePermission (write the topic's Policy)"),
	"ConfirmSubscription":       later("ConfirmSubscription"),
	"GetSMSAttributes":          later("GetSMSAttributes"),
	"SetSMSAttributes":          later("SetSMSAttributes"),
	"CreatePlatformApplication": later("CreatePlatformApplication"),
	"CreatePlatformEndpoint":    later("CreatePlatformEndpoint"),
	"PutDataProtectionPolicy":   later("PutDataProtectionPolicy"),
	"GetDataProtectionPolicy":   later("GetDataProtectionPolicy"),
}

// later is an action of SNS that waits for its turn.
func later(what string) queryAction {
	return func(*call) (any, error) { return nil, unsupported(what) }
}

// invalidParameter is SNS's answer to nearly everything that a caller can get wrong.
func invalidParameter(format string, args ...any) *apiError {
	return refuse("InvalidParameter", "Invalid parameter: "+format, args...)
}

// invalidValue is the code that SNS keeps for message attributes.
func invalidValue(format string, args ...any) *apiError {
	return refuse("ParameterValueInvalid", format, args...)
}

func snsNotFound(what string) *apiError {
	return &apiError{Status: 404, Code: "NotFound", Message: what + " does not exist"}
}

// xmlMap is a map as the Query protocol answers it: entry elements with key and value.
type xmlMap struct {
	Entries []xmlEntry `xml:"entry"`
}

type xmlEntry struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

func newXMLMap(m map[string]string) xmlMap {
	x := xmlMap{Entries: make([]xmlEntry, 0, len(m))}
	for key, value := range m {
		x.Entries = append(x.Entries, xmlEntry{key, value})
	}
	sort.Slice(x.Entries, func(i, j int) bool { return x.Entries[i].Key < x.Entries[j].Key })
	return x
}
