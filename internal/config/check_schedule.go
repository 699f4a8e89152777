package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/schedule"
)

// Source: SendMessage and MessageAttributeValue, SQS API reference.
var (
	validGroup     = regexp.MustCompile(`^[!-~]{1,128}$`)
	validAttribute = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	reserved       = regexp.MustCompile(`(?i)^(aws|amazon)\.`)
)

// written are the attributes that each tick has of its own.
var written = []string{schedule.NameAttribute, schedule.TickAttribute, queue.StationmasterAttribute}

func (c *checker) schedules() {
	for _, name := range slices.Sorted(maps.Keys(c.config.Schedules)) {
		path := join("schedules", name)
		if c.seen[path] { // it is no table at all
			continue
		}
		s := c.config.Schedules[name]
		c.key(path, name)
		if len(name) > schedule.MaxName {
			c.addf(path, "has a name of %d characters, and at most %d leave room for the tick in a deduplication id: shorten it", len(name), schedule.MaxName)
		}
		c.ticks(path, s)
		c.target(path, s)
		c.tick(path, s)
		c.ticksKind(path, name, s)
		if s.Paused {
			c.warnings.addf(path+".paused", "is true: it does not tick")
		}
	}
}

// ticks checks when it ticks. Each of the two is read with what the other is without faults.
func (c *checker) ticks(path string, s Schedule) {
	const always = "* * * * *"
	if s.Cron == "" {
		c.addf(path+".cron", `is missing: write minute, hour, day of month, month and day of week, as in "0 3 * * *"`)
	} else if _, err := schedule.Parse(s.Cron, ""); err != nil {
		c.addf(path+".cron", "%s", strings.TrimPrefix(err.Error(), "cron "))
	}
	if _, err := schedule.Parse(always, s.Zone); err != nil {
		c.addf(path+".zone", "%s", strings.TrimPrefix(err.Error(), "zone "))
	}
}

// target checks where the ticks go. Only FIFO takes one of those that all workers publish.
func (c *checker) target(path string, s Schedule) {
	switch {
	case s.Topic != "" && s.Queue != "":
		c.addf(path+".queue", "stands beside topic: keep one of them")
	case s.Queue != "":
		c.targetQueue(path+".queue", s.Queue)
	case s.Topic != "":
		c.topic(path+".topic", s.Topic)
		if t, ok := c.config.Topics[s.Topic]; ok && !t.FIFO {
			c.standard(path+".topic", s.Topic, "topic")
		}
	default:
		c.addf(path+".queue", "is missing, and so is topic: name a [queues] or [topics] table with fifo = true")
	}
}

func (c *checker) targetQueue(key, name string) {
	queues := slices.Sorted(maps.Keys(c.config.Queues))
	switch q, ok := c.config.Queues[name]; {
	case ok && !q.FIFO:
		c.standard(key, name, "queue")
	case ok:
	case len(queues) == 0:
		c.addf(key, "%q is no queue of this file: add [queues.%s] with fifo = true", name, name)
	default:
		c.addf(key, "%q is no queue of this file: %s", name, hint(name, queues))
	}
}

func (c *checker) standard(key, name, what string) {
	c.addf(key, "%q is a standard %s, which would take each tick once from every worker: add fifo = true to [%ss.%s], or name a FIFO one",
		name, what, what, name)
}

// tick checks the message. What is refused here, SQS and SNS would refuse at each tick.
func (c *checker) tick(path string, s Schedule) {
	c.contents(path+".body", s.Body)
	if !validGroup.MatchString(s.GroupID) {
		c.addf(path+".group_id", "%q must be 1 to 128 letters, digits and punctuation, without spaces: correct it", s.GroupID)
	}
	all := make(map[string]queue.Attribute, len(s.Attributes))
	for _, name := range slices.Sorted(maps.Keys(s.Attributes)) {
		at := join(path+".attributes", name)
		switch {
		case slices.Contains(written, name):
			c.addf(at, "is written by the schedule itself: use another name")
		case !validAttribute.MatchString(name) || reserved.MatchString(name) || len(name) > 255:
			c.addf(at, "must be a name of at most 255 letters, digits, _, - and single dots in between, and not begin with AWS. or Amazon.: rename it")
		default:
			c.contents(at, s.Attributes[name])
		}
		all[name] = queue.Attribute{Type: "String", Text: s.Attributes[name]}
	}
	if n, most := len(s.Attributes), queue.MaxAttributes-len(written); n > most {
		c.addf(path+".attributes", "has %d, and at most %d stand beside the %d of each tick: put some into the body", n, most, len(written))
	}
	const own = 1 << 10 // more than a tick adds
	m := queue.Message{Body: s.Body, Attributes: all}
	if n := m.Size(); n > queue.MaxBytes-own {
		c.addf(path+".body", "has %d bytes with its attributes, and SQS and SNS take at most %d: keep the content elsewhere, as in S3, and write its key", n, queue.MaxBytes-own)
	}
}

// contents checks a text that SQS and SNS want not to be empty, and of characters that XML 1.0 has.
func (c *checker) contents(key, text string) {
	if text == "" {
		c.addf(key, `is empty, which SQS and SNS refuse: write something, as in "{}"`)
	}
	if !utf8.ValidString(text) {
		c.addf(key, "is no UTF-8: correct it")
	}
	for _, r := range text {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			c.addf(key, "has the character %U, which SQS and SNS refuse: remove it", r)
			return
		}
	}
}

// ticksKind finds ticks that no job of their queue would take.
func (c *checker) ticksKind(path, name string, s Schedule) {
	q, ok := c.config.Queues[s.Queue]
	if !ok || len(q.Jobs) == 0 || c.seen[path+".queue"] || c.seen[join("queues", s.Queue)+".kind"] {
		return
	}
	all := map[string]queue.Attribute{schedule.NameAttribute: {Type: "String", Text: name}}
	for name, text := range s.Attributes {
		all[name] = queue.Attribute{Type: "String", Text: text}
	}
	m := jobs.Info{Raw: s.Body, Attributes: all}
	kind, has := m.Kind(q.Kind)
	kinds := slices.Sorted(maps.Keys(q.Jobs))
	switch _, known := q.Jobs[kind]; {
	case !has:
		c.addf(path+".queue", "%q has a job for each kind of message, and its ticks have none: add the kind to the message, where queues.%s.kind says (%s)", s.Queue, s.Queue, q.Kind)
	case !known:
		c.addf(path+".queue", "%q has no job for messages of kind %q (%s): %s", s.Queue, kind, q.Kind, hint(kind, kinds))
	}
}
