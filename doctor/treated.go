package doctor

import (
	"fmt"
	"strconv"
	"time"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/queue"
)

// treated says what an attribute of a queue that is not as declared does to a message, and what was meant.
func treated(name, have, want string) string {
	pair := func(format string, show func(string) string) string {
		return fmt.Sprintf(format, show(have), show(want))
	}
	same := func(s string) string { return or(s, "nothing") }
	switch name {
	case attrVisibility:
		return pair("whoever receives it without saying for how long hides it for %s, not for %s", span)
	case attrRetention:
		return pair("it is deleted after %s when nobody has taken it, not after %s", span)
	case attrDelay:
		return pair("it stays hidden for %s after it was sent, not for %s", span)
	case attrWait:
		return pair("a receive waits for it for %s, not for %s, where the receiver does not say", span)
	case attrMaxSize:
		return pair("it is refused when it has more than %s bytes, not %s", same)
	case attrKey:
		return pair("it is encrypted with %s, not with %s", func(s string) string { return or(s, "no key of KMS") })
	case attrSSE:
		return pair("the encryption by SQS's own key is %s, not %s", onOff)
	case attrByContent:
		return pair("that its body makes its deduplication id is %s, not %s", onOff)
	case attrRedrive:
		return pair("SQS moves it %s, not %s", moved)
	}
	return "it is treated as " + name + " says, not as declared"
}

// span reads seconds. SQS leaves out what is 0.
func span(s string) string {
	n, err := strconv.Atoi(or(s, "0"))
	if err != nil {
		return s
	}
	return human(time.Duration(n) * time.Second)
}

func onOff(s string) string {
	if s == "true" {
		return "on"
	}
	return "off"
}

// moved says where a redrive policy moves messages, and when.
func moved(policy string) string {
	p := queue.ReadRedrive(policy)
	if p.Target == "" {
		return "nowhere"
	}
	return fmt.Sprintf("to %s after %d receives", awsarn.Name(p.Target), p.Receives)
}
