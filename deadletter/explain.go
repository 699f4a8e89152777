package deadletter

import (
	"strings"

	"github.com/stationmaster/worker/queue"
)

// Attributes of dead letters that AWS's own services write.
// Source: "Dead-letter queues", Lambda Developer Guide; "Using dead-letter queues to process
// undelivered events", EventBridge User Guide.
const (
	lambdaCode, lambdaMessage = "ErrorCode", "ErrorMessage"
	eventCode, eventMessage   = "ERROR_CODE", "ERROR_MESSAGE"
	eventRule                 = "RULE_ARN"
)

// Explain says why a message died that Lambda or EventBridge gave up: a class, and a reason in which
// nothing differs from message to message. False when the message does not say.
func Explain(m *queue.Message) (class, reason string, ok bool) {
	for _, as := range []struct{ prefix, code, message string }{
		{"", eventCode, eventMessage},
		// Lambda's is the status of an HTTP answer, a number.
		{"lambda:", lambdaCode, lambdaMessage},
	} {
		code, text := printable(cut(m.Attributes[as.code].Text, maxText)), m.Attributes[as.message].Text
		if code == "" && text == "" {
			continue
		}
		if class = "error"; code != "" {
			class = cut(as.prefix+code, 80)
		}
		reason = worded(text, m.Body)
		if rule := ruleOf(m); rule != "" {
			reason = strings.TrimSpace(cut(reason, maxReason-100) + " (rule " + rule + ")")
		}
		return class, cut(reason, maxReason), true
	}
	return "", "", false
}

// ruleOf is the name of the rule whose event could not be delivered, after its bus if it has one.
func ruleOf(m *queue.Message) string {
	_, name, _ := strings.Cut(m.Attributes[eventRule].Text, ":rule/")
	return cut(printable(cut(name, maxText)), 80)
}
