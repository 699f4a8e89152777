package localaws

// snsState is the topics and subscriptions. Server.mu guards it.
type snsState struct{}

func newSNSState() snsState { return snsState{} }

// snsActions are the actions of SNS, by name.
var snsActions = map[string]queryAction{}
