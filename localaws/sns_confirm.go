package localaws

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

// What confirmations say.
const (
	toSubscribe = "You have chosen to subscribe to the topic %s.\nTo confirm the subscription, visit the SubscribeURL included in this message."
	toRestore   = "You have chosen to deactivate subscription %s.\nTo cancel this operation and restore the subscription, visit the SubscribeURL included in this message."
)

// newToken makes a token of AWS's form: 288 hexadecimal digits.
func newToken() string {
	var b [144]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// ask sends a subscription's endpoint a confirmation with a new token. SNS's mail reaches nobody from
// here. c.s.mu is held.
func (c *call) ask(t *topic, sub *subscription, kind string) []Drop {
	now, text := time.Now(), newToken()
	c.s.sns.tokens[text] = &token{sub: sub, expires: now.Add(tokensLast)}
	says := strings.Replace(toSubscribe, "%s", t.arn, 1)
	if kind == "UnsubscribeConfirmation" {
		says = strings.Replace(toRestore, "%s", sub.arn, 1)
	}
	id := newID()
	e := t.request(kind, id, text, says, c.base(), now)
	switch protocol := sub.options.protocol; {
	case protocol == "sqs":
		m := sqsMessage{envelope: e}
		if sub.options.fifoTarget {
			m.groupID, m.dedupID = sub.arn, id // inferred: a FIFO queue takes nothing without them
		}
		if why := c.s.send(t, sub.endpoint, m); why != "" {
			return []Drop{sub.drop(kind+": "+why, id)}
		}
	case isHTTP(protocol):
		c.post(t, sub, &parcel{kind: kind, id: id, letter: sqsMessage{envelope: e}})
	default:
		return []Drop{sub.drop(kind+": "+unspoken(protocol), id)}
	}
	return nil
}

// confirmSubscription goes by the token alone: a topic that is not there will do, in the right region.
func (c *call) confirmSubscription() (any, error) {
	parts := strings.Split(c.form.Get("TopicArn"), ":")
	if len(parts) < 6 || parts[0] != "arn" || parts[2] != "sns" || !c.anonymous && parts[3] != c.region {
		return nil, invalidParameter("Topic")
	}
	text := c.form.Get("Token")
	if _, err := hex.DecodeString(text); err != nil || text == "" {
		return nil, refuse("InvalidParameter", "Invalid token")
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.sns.sweep(time.Now())
	known := c.s.sns.tokens[text]
	switch {
	case known == nil:
		return nil, invalidParameter("Token")
	case parts[3] != known.sub.region:
		return nil, invalidParameter("Topic")
	}
	sub := known.sub
	if c.s.sns.subscriptions[sub.arn] == nil && !c.s.sns.restore(sub) {
		return nil, invalidParameter("Token")
	}
	if !sub.confirmed {
		sub.confirmed, sub.authenticated = true, !c.anonymous
		sub.guarded = !c.anonymous && strings.EqualFold(c.form.Get("AuthenticateOnUnsubscribe"), "true")
	}
	return struct {
		ARN string `xml:"SubscriptionArn"`
	}{sub.arn}, nil
}

// unsubscribe is idempotent. Who does not own the subscription can end it too, unless it was confirmed
// with AuthenticateOnUnsubscribe; its endpoint is then told how to undo it.
func (c *call) unsubscribe() (any, error) {
	if !c.form.Has("SubscriptionArn") {
		return nil, invalidParameter("SubscriptionArn Reason: no value for required parameter")
	}
	arn := c.form.Get("SubscriptionArn")
	if e := checkSubscriptionARN(arn); e != nil {
		return nil, e
	}
	drops, e := c.end(arn)
	c.tell(drops)
	return nil, asError(e)
}

func (c *call) end(arn string) ([]Drop, *apiError) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.sns.sweep(time.Now())
	sub := c.s.sns.subscriptions[arn]
	if sub == nil {
		return nil, nil
	}
	t := c.s.sns.topics[sub.topic]
	owner := !c.anonymous && (c.account == sub.account || t != nil && c.account == t.account)
	switch {
	case !sub.confirmed:
		return nil, invalidParameter("SubscriptionArn Reason: Cannot unsubscribe a subscription that is pending confirmation")
	case sub.guarded && !owner:
		return nil, &apiError{Status: http.StatusForbidden, Code: "AuthorizationError", Message: "This subscription requires authentication for deletion"}
	}
	c.s.sns.remove(sub)
	if t == nil || !sub.orphaned.IsZero() || !c.anonymous && c.account == sub.account {
		return nil, nil
	}
	return c.ask(t, sub, "UnsubscribeConfirmation"), nil
}
