package config

// Schedule is a message that is published at each tick of a cron expression: by every worker, with the
// same deduplication id, so that a FIFO queue or topic accepts one.
type Schedule struct {
	// Cron has five fields, or is one of @hourly, @daily, @weekly, @monthly and @yearly.
	Cron string `config:"cron"`
	Zone string `config:"zone"` // of the IANA time zone database
	// Topic or Queue is where to: a name in Topics or Queues, of a FIFO one.
	Topic string `config:"topic"`
	Queue string `config:"queue"`

	Body       string            `config:"body"`
	Attributes map[string]string `config:"attributes"` // of type String
	// GroupID is the MessageGroupId of every tick; the name of the schedule when the file says nothing.
	GroupID string `config:"group_id"`
	// Paused: it does not tick.
	Paused bool `config:"paused"`
}

func (s *Schedule) preset(bool) { s.Zone = "UTC" }
