package localaws

import (
	"math/rand/v2"
	"time"
)

// Nasty is what AWS may do, and says that it may, but hardly ever does to a test: it is slow to act
// on changes, and not exact. The zero value is none of it. What happens is the same for the same
// Seed and the same requests in the same order.
type Nasty struct {
	Seed uint64

	// AttributeDelay is how long SetQueueAttributes may take, 60 s on AWS. Until then reads show the
	// old or the new values, now these, now those, and the queue acts on the old ones for a part of it.
	AttributeDelay time.Duration
	// FilterDelay is how long a change of a subscription's filter policy may take to have an effect, 15
	// minutes on AWS.
	FilterDelay time.Duration
	// PurgeDelay is for how long PurgeQueue may delete messages that are sent after it, 60 s on AWS.
	PurgeDelay time.Duration
	// DeleteDelay is for how long a deleted queue may answer as if it were there, 60 s on AWS.
	DeleteDelay time.Duration
	// CountDelay is how old ApproximateNumberOf… may be, 60 s on AWS.
	CountDelay time.Duration

	// The next are shares, from 0 to 1: of the receives that do not wait and see only a part of the
	// messages or none; of the deleted messages that come once more; and of the messages that overtake
	// all others. The last two are for standard queues.
	MissShare, ReviveShare, OvertakeShare float64

	// GiveToGone gives messages to callers that have gone, too, so that nobody sees them until their
	// visibility timeout ends. A long poll that is given up is served until its wait is over.
	GiveToGone bool
}

// Nastiest is everything at once, with AWS's times and shares that are noticed within minutes.
func Nastiest(seed uint64) Nasty {
	return Nasty{
		Seed:           seed,
		AttributeDelay: time.Minute, FilterDelay: 15 * time.Minute, PurgeDelay: time.Minute,
		DeleteDelay: time.Minute, CountDelay: time.Minute,
		MissShare: 0.5, ReviveShare: 0.01, OvertakeShare: 0.1, GiveToGone: true,
	}
}

// nastiness draws what Nasty allows. Server.mu guards it.
type nastiness struct {
	Nasty
	random *rand.Rand
	ghosts map[string]ghost // by ARN
}

// ghost is a deleted queue that may still answer.
type ghost struct {
	*sqsQueue
	until time.Time
}

func newNastiness(n Nasty) *nastiness {
	return &nastiness{Nasty: n, random: rand.New(rand.NewPCG(n.Seed, 0)), ghosts: map[string]ghost{}}
}

// chance is true in a share of all cases.
func (n *nastiness) chance(share float64) bool { return share > 0 && n.random.Float64() < share }

// within draws a time up to the longest.
func (n *nastiness) within(longest time.Duration) time.Duration {
	if longest <= 0 {
		return 0
	}
	return time.Duration(n.random.Int64N(int64(longest) + 1))
}

// overtakes says whether a message goes before all others.
func (n *nastiness) overtakes() bool { return n.chance(n.OvertakeShare) }

// fewer is how many of so many messages a short poll sees.
func (n *nastiness) fewer(most int) int {
	if n.chance(n.MissShare) {
		return n.random.IntN(most)
	}
	return most
}

// purgedShare is how many of the messages that are sent while a purge is under way go with it.
const purgedShare = 0.5

// revive keeps a message that was deleted, to deliver it once more within a minute.
func (n *nastiness) revive(q *sqsQueue, m *message) bool {
	if q.fifo || m.revived || !n.chance(n.ReviveShare) {
		return false
	}
	m.revived = true
	q.move(m, inFlight, time.Now().Add(n.within(time.Minute)))
	return true
}

// late is a change of attributes on its way through AWS.
type late struct {
	settings settings
	acts     time.Time // when the queue acts on it
	acted    bool
	before   map[string]string // what reads may still show
	since    time.Time
	shown    time.Time // when all reads show the change
}

// delay sends new settings on their way.
func (n *nastiness) delay(q *sqsQueue, set settings, now time.Time) *late {
	return &late{
		settings: set, acts: now.Add(n.within(n.AttributeDelay)), before: q.attributes,
		since: now, shown: now.Add(n.AttributeDelay),
	}
}

// shown is what a read of a queue's attributes shows: the later, the more often the new ones.
func (n *nastiness) shown(q *sqsQueue, now time.Time) map[string]string {
	if l := q.late; l != nil && now.Before(l.shown) && !n.chance(float64(now.Sub(l.since))/float64(n.AttributeDelay)) {
		return l.before
	}
	return q.attributes
}

// counts are how many messages a queue has in each place, as of some time ago.
func (n *nastiness) counts(q *sqsQueue, now time.Time) [held + 1]int {
	if now.Sub(q.countedAt) >= n.within(n.CountDelay) {
		q.counted, q.countedAt = q.number, now
	}
	return q.counted
}

// forget lets a deleted queue go, later.
func (n *nastiness) forget(q *sqsQueue, now time.Time) {
	if n.DeleteDelay > 0 {
		n.ghosts[q.arn] = ghost{q, now.Add(n.within(n.DeleteDelay))}
	}
}

// ghost returns a deleted queue for as long as it answers, or nil.
func (n *nastiness) ghost(arn string) *sqsQueue {
	g, there := n.ghosts[arn]
	if there && !time.Now().Before(g.until) {
		delete(n.ghosts, arn)
		return nil
	}
	return g.sqsQueue
}

// gonePoll is a long poll whose client has given it up, and does not know.
type gonePoll struct {
	*call
	in    *receiveInput
	until time.Time
}

// desert leaves a given-up poll behind.
func (n *nastiness) desert(q *sqsQueue, c *call, in *receiveInput, until time.Time) {
	if n.GiveToGone {
		q.gone = append(q.gone, gonePoll{c, in, until})
	}
}

// serveGone gives messages to polls that were given up: who waits longest is served first. s.mu is
// held.
func (s *Server) serveGone(q *sqsQueue, now time.Time) {
	for len(q.gone) > 0 && (q.room() || !now.Before(q.gone[0].until)) {
		poll := q.gone[0]
		q.gone = q.gone[1:]
		if now.Before(poll.until) {
			poll.take(q, poll.in)
		}
	}
}
