package localaws

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stationmaster/worker/internal/iampolicy"
	"github.com/stationmaster/worker/internal/snsdelivery"
	"github.com/stationmaster/worker/internal/snsfilter"
)

// Times that SNS keeps things for.
const (
	// tokensLast is how long a subscription can be confirmed. Source: Subscribe, SNS API reference.
	tokensLast = 48 * time.Hour
	// pendingLast is when a subscription that nobody confirmed is gone from the lists. Source: "Amazon
	// SNS HTTP/HTTPS subscriptions", Developer Guide of 2022.
	pendingLast = 72 * time.Hour
	// orphansLast is how long SNS keeps the subscriptions of a topic that is gone.
	orphansLast = 72 * time.Hour
)

// snsState is the topics and subscriptions of all regions, by ARN; a call sees those of its own.
// Server.mu guards it.
type snsState struct {
	topics        map[string]*topic
	subscriptions map[string]*subscription
	tokens        map[string]*token // of confirmations
	serial        int               // what lists are sorted by: the order of creation
}

func newSNSState() snsState {
	return snsState{topics: map[string]*topic{}, subscriptions: map[string]*subscription{}, tokens: map[string]*token{}}
}

func (s *snsState) next() int {
	s.serial++
	return s.serial
}

type topic struct {
	serial        int
	arn, region   string
	account       string // that owns it
	fifo          bool
	attributes    map[string]string  // as set; what is not set has its default on reading
	access        *iampolicy.Policy  // of the attribute Policy; nil: the default, for the own account
	delivery      *snsdelivery.Topic // its DeliveryPolicy; nil: none
	tags          map[string]string
	subscriptions []*subscription
	deleted       int                // subscriptions that were
	verdicts      map[string]verdict // of queues' policies, by ARN

	// Of a FIFO topic: what was published lately, and how much was in all.
	recent   memory[accepted]
	sequence uint64
}

type subscription struct {
	serial             int
	arn, topic, region string
	account            string // of the subscriber
	endpoint           string
	options            subscriptionOptions // with its protocol
	created            time.Time
	// confirmed: it gets messages. authenticated: who confirmed it signed the request. guarded: only
	// a signed request can end it.
	confirmed, authenticated, guarded bool
	// orphaned is when the topic was deleted. A subscription outlives its topic in the lists for
	// three days, as on AWS, and delivers nothing.
	orphaned time.Time
	// before is the filter that counts until the new one does, when Nasty delays it.
	before    *snsfilter.Policy
	filtersAt time.Time // when the new one does
	// free is when its endpoint may be sent the next request, by its throttle policy.
	free time.Time
}

// token lets whoever has it confirm a subscription.
type token struct {
	sub     *subscription
	expires time.Time
}

// kind is what the attributes of a subscription depend on.
type kind struct {
	protocol              string
	fifoTopic, fifoTarget bool // a FIFO topic; a FIFO queue
}

// subscriptionOptions are the attributes that a subscriber chooses.
type subscriptionOptions struct {
	kind
	raw        bool
	filter     *snsfilter.Policy // nil: everything passes
	filterText string            // as it was given
	scope      snsfilter.Scope
	redrive    string                    // RedrivePolicy as it was given
	deadLetter string                    // its deadLetterTargetArn
	delivery   *snsdelivery.Subscription // nil: none
	role       string                    // SubscriptionRoleArn, of firehose
}

// sweep forgets what time has ended. Server.mu is held.
func (s *snsState) sweep(now time.Time) {
	for text, t := range s.tokens {
		if !now.Before(t.expires) {
			delete(s.tokens, text)
		}
	}
	for arn, sub := range s.subscriptions {
		switch {
		case !sub.orphaned.IsZero() && now.Sub(sub.orphaned) >= orphansLast:
			delete(s.subscriptions, arn)
		case !sub.confirmed && now.Sub(sub.created) >= pendingLast:
			s.remove(sub)
		}
	}
}

// remove takes a subscription out of its topic and out of the lists.
func (s *snsState) remove(sub *subscription) {
	delete(s.subscriptions, sub.arn)
	if t := s.topics[sub.topic]; t != nil && sub.orphaned.IsZero() {
		t.subscriptions = slices.DeleteFunc(t.subscriptions, func(other *subscription) bool { return other == sub })
		if sub.confirmed {
			t.deleted++
		}
	}
}

// restore undoes remove, when the topic is still there.
func (s *snsState) restore(sub *subscription) bool {
	t := s.topics[sub.topic]
	if t == nil || !sub.orphaned.IsZero() {
		return false
	}
	s.subscriptions[sub.arn] = sub
	t.subscriptions = append(t.subscriptions, sub)
	t.deleted--
	return true
}

// filter is the policy that counts now.
func (sub *subscription) filter(now time.Time) *snsfilter.Policy {
	if now.Before(sub.filtersAt) {
		return sub.before
	}
	return sub.options.filter
}

// change gives a subscription other options. A new filter may count later. s.mu is held.
func (s *Server) change(sub *subscription, options subscriptionOptions) {
	now := time.Now()
	if options.filterText != sub.options.filterText || options.scope != sub.options.scope {
		sub.before, sub.filtersAt = sub.filter(now), now.Add(s.nasty.within(s.nasty.FilterDelay))
	}
	sub.options = options
}

// count tells how many subscriptions of a topic are confirmed.
func (t *topic) count() (confirmed, pending int) {
	for _, sub := range t.subscriptions {
		if sub.confirmed {
			confirmed++
		}
	}
	return confirmed, len(t.subscriptions) - confirmed
}

// mostFilters is how many filter policies the subscriptions of a topic can have. Source: "Amazon SNS
// endpoints and quotas", as of 2022.
const mostFilters = 200

func (t *topic) filters() int {
	n := 0
	for _, sub := range t.subscriptions {
		if sub.options.filter != nil {
			n++
		}
	}
	return n
}

func tooManyFilters() *apiError {
	return &apiError{Status: http.StatusForbidden, Code: "FilterPolicyLimitExceeded", Message: "The number of filter policies of the topic would exceed " + strconv.Itoa(mostFilters)}
}

func isFIFO(name string) bool { return strings.HasSuffix(name, ".fifo") }
