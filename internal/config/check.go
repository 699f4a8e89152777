package config

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	validKey   = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
	validQueue = regexp.MustCompile(`^([A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo)$`)
	validTopic = regexp.MustCompile(`^([A-Za-z0-9_-]{1,256}|[A-Za-z0-9_-]{1,251}\.fifo)$`)
	queueARN   = regexp.MustCompile(`^arn:[a-z0-9-]+:sqs:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,80}(\.fifo)?$`)
	topicARN   = regexp.MustCompile(`^arn:[a-z0-9-]+:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?$`)
)

// checker finds what single values cannot show: limits, arithmetic and names that lead nowhere.
type checker struct {
	*collector
	config   *Config
	options  *Options
	warnings collector
	// unplugged: a job that is not registered may be one of a plugin that was not loaded.
	unplugged bool
	// plugNotes are the warnings of loading plugins: why a job may be missing.
	plugNotes []string
}

func (c *checker) all() {
	c.worker()
	c.admin()
	c.topics()
	for _, key := range slices.Sorted(maps.Keys(c.config.Queues)) {
		if path := join("queues", key); !c.seen[path] { // or it is no table at all
			c.queue(path, key, c.config.Queues[key])
		}
	}
	c.sameQueues()
	c.ingress()
	c.subscriptions()
	c.schedules()
	c.owner()
	c.jobs()
}

func (c *checker) worker() {
	w := c.config.Worker
	between(c, "worker.drain_timeout", w.DrainTimeout, time.Second, 12*time.Hour)
	c.budget()
	c.oneOf("worker.log_level", w.LogLevel, "debug", "info", "warn", "error")
	c.oneOf("worker.log_format", w.LogFormat, "auto", "text", "json")
	c.oneOf("worker.http_client", w.HTTPClient, "lean", "standard")
	c.oneOf("worker.verify", w.Verify, "stop", "warn", "off")
	if w.Endpoint != "" {
		c.webAddress("worker.endpoint", w.Endpoint)
	}
}

func (c *checker) admin() {
	const key = "admin.addr"
	addr := c.config.Admin.Addr
	if addr == adminOff {
		return
	}
	if path, socket := strings.CutPrefix(addr, socketPrefix); socket {
		const most = 107 // sun_path of a socket's address, its last byte excluded: unix(7)
		if path == "" || len(path) > most {
			c.addf(key, `%q must be "unix:" and a path of 1 to %d bytes`, addr, most)
		}
		return
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		c.addf(key, `%q must be host:port: write it like "127.0.0.1:8080", "unix:/run/worker/admin.sock" for a socket, or "off" for none`, addr)
		return
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		c.addf(key, "%q must end in a port from 0 to 65535", addr)
	}
}

func (c *checker) topics() {
	by := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.config.Topics)) {
		key, t := join("topics", name), c.config.Topics[name]
		c.key(key, name)
		c.tags(key, t.Tags)
		switch {
		case t.ARN != "" && !topicARN.MatchString(t.ARN):
			c.addf(key+".arn", `%q is no topic's ARN: write it like "arn:aws:sns:us-east-1:123456789012:name"`, t.ARN)
		case t.ARN != "" && t.Manage:
			c.addf(key+".arn", "is somebody else's topic: add manage = false, or give its name alone")
		case !validTopic.MatchString(t.Name):
			c.addf(key+".name", "%q must be 1 to 256 letters, digits, - and _", t.Name)
		}
		c.fifo(key, t.Name, t.FIFO)
		c.deduplication(key, t.ContentDeduplication, t.FIFO, t.Manage)
		c.topicSettings(key, t)
		if before, twice := by[t.Name+t.ARN]; twice {
			c.addf(key+".name", "%q is the topic of %s too: give one of them another name", t.Name, before)
		}
		by[t.Name+t.ARN] = key
	}
}

// fifo checks that a name says what fifo says: AWS goes by the name.
func (c *checker) fifo(path, name string, fifo bool) {
	switch named := strings.HasSuffix(name, fifoSuffix); {
	case named && !fifo:
		c.addf(path+".fifo", "must be true, because %q ends in %s: add fifo = true", name, fifoSuffix)
	case fifo && !named:
		c.addf(path+".fifo", "is true, and %q does not end in %s: add it to the name, or remove fifo", name, fifoSuffix)
	}
}

// deduplication checks a setting that only a FIFO queue or topic has, and only its owner changes.
func (c *checker) deduplication(path string, on, fifo, managed bool) {
	switch {
	case on && !fifo:
		c.addf(path+".content_based_deduplication", "needs fifo = true: add it, or remove this")
	case on && !managed:
		c.addf(path+".content_based_deduplication", "is its owner's to set (manage = false): remove it")
	}
}

// budget checks how the queues share it.
func (c *checker) budget() {
	const most = 100_000
	budget, slots := c.config.Worker.Budget, 0
	between(c, "worker.budget", budget, 0, most)
	for _, q := range c.config.Queues {
		slots += q.Slots
	}
	if budget >= slots && slots > 0 && budget > 0 && budget <= most {
		c.warnings.addf("worker.budget", "%d caps nothing: all queues together have %d slots", budget, slots)
	}
}

// key checks the name of a table.
func (c *checker) key(path, name string) {
	if !validKey.MatchString(name) {
		c.addf(path, "%q must be a lower-case letter, then lower-case letters, digits, _ and -: rename it", name)
	}
}

// tags checks what AWS would refuse.
func (c *checker) tags(path string, tags map[string]string) {
	const most, mostKey, mostValue = 50, 128, 256
	if len(tags) > most {
		c.addf(path+".tags", "has %d tags, AWS allows %d: remove some", len(tags), most)
	}
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		at := join(path+".tags", tag)
		switch {
		case tag == "" || len(tag) > mostKey || len(tags[tag]) > mostValue:
			c.addf(at, "must have a key of 1 to %d and a value of at most %d characters: shorten it", mostKey, mostValue)
		case strings.HasPrefix(strings.ToLower(tag), "aws:"):
			c.addf(at, "begins with aws:, which is AWS's own: rename it")
		case tag == ownerTag:
			c.addf(at, "is how prune knows what apply has made: remove it, and name the owner in [topology]")
		}
	}
}

func (c *checker) oneOf(key, got string, allowed ...string) {
	if !slices.Contains(allowed, got) {
		c.addf(key, "%q must be one of %s", got, strings.Join(allowed, ", "))
	}
}

func (c *checker) webAddress(key, address string) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		c.addf(key, `%q must be a URL: write it like "http://127.0.0.1:4566"`, withoutPassword(address))
	}
}

// between checks a range and says which way out.
func between[T cmp.Ordered](c *checker, key string, got, least, most T) {
	switch {
	case got < least:
		c.addf(key, "%s must be at least %s: raise it", quoted(got), shown(least))
	case got > most:
		c.addf(key, "%s must be at most %s: lower it", quoted(got), shown(most))
	}
}

// seconds checks a range of what AWS counts in whole seconds.
func (c *checker) seconds(key string, got, least, most time.Duration) {
	between(c, key, got, least, most)
	if got%time.Second != 0 {
		c.addf(key, "%s must be whole seconds: round it", quoted(got))
	}
}

// shown writes a limit, quoted writes a value as the file has it.
func shown(v any) string { return text(reflect.ValueOf(v)) }

func quoted(v any) string {
	if d, ok := v.(time.Duration); ok {
		return strconv.Quote(durationText(d))
	}
	return fmt.Sprint(v)
}
