package localaws

import (
	"time"

	"github.com/stationmaster/worker/internal/snsfilter"
)

// snsState is the topics and subscriptions of all regions, by ARN; a call sees those of its own.
// Server.mu guards it.
type snsState struct {
	topics        map[string]*topic
	subscriptions map[string]*subscription
	serial        int // what lists are sorted by: the order of creation
}

func newSNSState() snsState {
	return snsState{topics: map[string]*topic{}, subscriptions: map[string]*subscription{}}
}

func (s *snsState) next() int {
	s.serial++
	return s.serial
}

type topic struct {
	serial        int
	arn, region   string
	account       string            // that owns it
	attributes    map[string]string // as set; what is not set has its default on reading
	tags          map[string]string
	subscriptions []*subscription
	deleted       int // subscriptions that were
}

type subscription struct {
	serial                       int
	arn, topic, region, endpoint string
	account                      string // of the subscriber
	options                      subscriptionOptions
	// orphaned is when the topic was deleted. A subscription outlives its topic in the lists for
	// three days, as on AWS, and delivers nothing.
	orphaned time.Time
}

// subscriptionOptions are the attributes that a subscriber chooses.
type subscriptionOptions struct {
	raw        bool
	filter     *snsfilter.Policy // nil: everything passes
	filterText string            // as it was given
	scope      snsfilter.Scope
	redrive    string // RedrivePolicy as it was given
	deadLetter string // its deadLetterTargetArn
}
