package dlqreplay

// Options are what a run is made of. Held, Journal and Judge.To are needed; the zero value of the rest
// is good.
type Options struct {
	// ReplayID names the run in its journal and in the messages that it sends; By says who runs it.
	ReplayID, By string
	Held         *Held
	// Plan is what is replayed: its Selected. A resumed run needs none, see Past.
	Plan   *Plan
	Filter Filter
	Judge  Judge
	Pace   Pace
	// Journal is closed by the caller.
	Journal Log
	// Past is what an earlier run of this journal did: it goes on where that ended, with what that chose.
	Past *Past
	// Stream goes on receiving when what is held has been sent, until the queue is empty: beyond what can
	// be held at once, and beyond the first messages of each FIFO group. What is received so is chosen
	// by Filter and judged by Judge, one by one.
	Stream bool
	// BreakOrder sends messages of one FIFO group at once, and goes on with a group after a failure.
	BreakOrder bool
	// Hurry, when it is closed, ends the run at once: nothing is waited for, nothing is given back.
	Hurry <-chan struct{}
	// Event is told what happens, from several goroutines but never two at once. It must be quick.
	Event func(Event)
}

// Log is what a run writes down before and after each of its steps; *Journal is one. What Select, Sending
// and Sent were given is on the disk when they return nil.
type Log interface {
	Path() string
	Select(ids []string) error
	Sending(ids []string, to string) error
	Sent(from, to []string, refused []Refusal) error
	Deleted(ids []string) error
	Returned(r Return) error
	End(r *Report) error
}
