package localaws

import (
	"encoding/base64"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Waits that SQS asks for. Sources: DeleteQueue and PurgeQueue, SQS API reference.
const (
	recreateAfter = time.Minute
	purgeAgain    = time.Minute
)

// maxQueueName is how long a name may be, with its suffix.
const maxQueueName = 80

var queueName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,80}$`)

type createQueueInput struct {
	QueueName  string
	Attributes map[string]string
	Tags       map[string]string `json:"tags"`
}

type queueURLOutput struct {
	QueueURL string `json:"QueueUrl"`
}

func createQueue(c *call, in *createQueueInput) (any, error) {
	if err := checkQueueName(in); err != nil {
		return nil, err
	}
	s, arn, now := c.s, c.arn("sqs", in.QueueName), time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.queues[arn]; q != nil {
		return c.createAgain(q, in)
	}
	if gone, ok := s.deleted[arn]; ok && now.Sub(gone) < recreateAfter {
		return nil, refuse("QueueDeletedRecently", "You must wait 60 seconds after deleting a queue before you can create another with the same name.")
	}
	attributes, set, err := c.apply(arn, presets(fifoName(in.QueueName)), in.Attributes)
	if err != nil {
		return nil, err
	}
	if err := checkTags(nil, in.Tags); err != nil {
		return nil, err
	}
	q := &sqsQueue{
		arn: arn, name: in.QueueName, region: c.region, account: c.account, serial: s.next(),
		attributes: attributes, settings: set, tags: maps.Clone(in.Tags),
		created: now, modified: now, store: s.newStore(set.fifo),
	}
	s.queues[arn] = q
	delete(s.deleted, arn)
	return queueURLOutput{c.queueURL(q)}, nil
}

// createAgain answers for a queue that exists: attributes that the request does not name are not
// compared, and those that it names are compared with what they are now.
func (c *call) createAgain(q *sqsQueue, in *createQueueInput) (any, error) {
	if _, _, err := c.apply(q.arn, q.attributes, in.Attributes); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(in.Attributes)) {
		if !same(name, q.attributes[name], in.Attributes[name]) {
			return nil, refuse("QueueNameExists", "A queue already exists with the same name and a different value for attribute %s", name)
		}
	}
	return queueURLOutput{c.queueURL(q)}, nil
}

func getQueueURL(c *call, in *struct {
	QueueName              string
	QueueOwnerAWSAccountID string `json:"QueueOwnerAWSAccountId"`
},
) (any, error) {
	if in.QueueName == "" {
		return nil, missing("QueueName")
	}
	owner := in.QueueOwnerAWSAccountID
	if owner == "" {
		owner = c.account
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	q := c.s.queues[c.arnOf(owner, "sqs", in.QueueName)]
	if q == nil {
		return nil, noSuchQueue()
	}
	if err := c.mayUse(q); err != nil {
		return nil, err
	}
	return queueURLOutput{c.queueURL(q)}, nil
}

// listPage is the part of a list request that says which part of the list is wanted.
type listPage struct {
	MaxResults *int
	NextToken  string
}

// cut takes a page out of sorted names.
func (p listPage) cut(names []string) (part []string, next string, err error) {
	most := 1000
	if p.MaxResults != nil {
		most = *p.MaxResults
	}
	if most < 1 || most > 1000 {
		return nil, "", refuse("InvalidParameterValue", "Value %d for parameter MaxResults is invalid. Reason: Must be between 1 and 1000.", most)
	}
	if p.NextToken != "" {
		after, err := base64.URLEncoding.DecodeString(p.NextToken)
		if err != nil {
			return nil, "", refuse("InvalidParameterValue", "Invalid or expired next token.")
		}
		i, found := slices.BinarySearch(names, string(after))
		if found {
			i++
		}
		names = names[i:]
	}
	if len(names) <= most {
		return names, "", nil
	}
	if p.MaxResults != nil { // without a MaxResults SQS gives no token either
		next = base64.URLEncoding.EncodeToString([]byte(names[most-1]))
	}
	return names[:most], next, nil
}

// list pages through the URLs of the caller's queues in the call's region that fit. s.mu is held.
func (c *call) list(p listPage, fits func(*sqsQueue) bool) ([]string, string, error) {
	var names []string
	for _, q := range c.s.queues {
		if q.account == c.account && q.region == c.region && fits(q) {
			names = append(names, q.name)
		}
	}
	slices.Sort(names)
	names, next, err := p.cut(names)
	urls := make([]string, 0, len(names))
	for _, name := range names {
		urls = append(urls, c.queueURL(c.s.queues[c.arn("sqs", name)]))
	}
	return urls, next, err
}

func listQueues(c *call, in *struct {
	QueueNamePrefix string
	listPage
},
) (any, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	urls, next, err := c.list(in.listPage, func(q *sqsQueue) bool { return strings.HasPrefix(q.name, in.QueueNamePrefix) })
	return struct {
		QueueURLs []string `json:"QueueUrls,omitempty"`
		NextToken string   `json:",omitempty"`
	}{urls, next}, err
}

type queueInput struct {
	QueueURL string `json:"QueueUrl"`
}

func listDeadLetterSourceQueues(c *call, in *struct {
	queueInput
	listPage
},
) (any, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	dlq, err := c.queue(in.QueueURL)
	if err != nil {
		return nil, err
	}
	urls, next, err := c.list(in.listPage, func(q *sqsQueue) bool { return q.redrive != nil && q.redrive.target == dlq.arn })
	return struct {
		QueueURLs []string `json:"queueUrls"`
		NextToken string   `json:",omitempty"`
	}{urls, next}, err
}

func deleteQueue(c *call, in *queueInput) (any, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	q, err := c.queue(in.QueueURL)
	if err != nil {
		return nil, err
	}
	delete(c.s.queues, q.arn)
	c.s.deleted[q.arn] = time.Now()
	c.s.nasty.forget(q, time.Now())
	q.wakeAll() // they look again and find no queue
	return nil, nil
}

func purgeQueue(c *call, in *queueInput) (any, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	q, err := c.queue(in.QueueURL)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if !q.purged.IsZero() && now.Sub(q.purged) < purgeAgain {
		return nil, &apiError{Status: 403, Code: "PurgeQueueInProgress", Message: "Only one PurgeQueue operation on " + q.name + " is allowed every 60 seconds."}
	}
	q.purged, q.purging = now, now.Add(c.s.nasty.within(c.s.nasty.PurgeDelay))
	q.store, q.attempts = c.s.newStore(q.fifo), memory[[]given]{} // what was sent before is still not sent again
	return nil, nil
}

func setQueueAttributes(c *call, in *struct {
	queueInput
	Attributes map[string]string
},
) (any, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	q, err := c.queue(in.QueueURL)
	if err != nil {
		return nil, err
	}
	if len(in.Attributes) == 0 {
		return nil, missing("Attribute.Name")
	}
	return nil, c.setAttributes(q, in.Attributes)
}

// setAttributes changes attributes of a queue. s.mu is held.
func (c *call) setAttributes(q *sqsQueue, changes map[string]string) error {
	attributes, set, err := c.apply(q.arn, q.attributes, changes)
	if err != nil {
		return err
	}
	now := time.Now()
	q.late = c.s.nasty.delay(q, set, now)
	q.attributes, q.modified = attributes, now
	c.s.settle(q)
	return nil
}

func getQueueAttributes(c *call, in *struct {
	queueInput
	AttributeNames []string
},
) (any, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	q, err := c.queue(in.QueueURL)
	if err != nil {
		return nil, err
	}
	all := c.s.describe(q)
	out := map[string]string{}
	for _, name := range in.AttributeNames {
		_, number := numbers[name]
		switch {
		case name == "All":
			maps.Copy(out, all)
		case !number && fifoPresets[name] == "" && !slices.Contains(slices.Concat(texts, computed), name):
			return nil, unknownAttribute(name)
		default:
			if value, ok := all[name]; ok {
				out[name] = value
			}
		}
	}
	return struct {
		Attributes map[string]string `json:",omitempty"`
	}{out}, nil
}

// describe returns all attributes of a queue.
func (s *Server) describe(q *sqsQueue) map[string]string {
	now := time.Now()
	all, number := maps.Clone(s.nasty.shown(q, now)), s.nasty.counts(q, now)
	if all["KmsMasterKeyId"] == "" {
		delete(all, "KmsDataKeyReusePeriodSeconds") // SQS shows it only where it means something
	}
	all["QueueArn"] = q.arn
	all["CreatedTimestamp"] = strconv.FormatInt(q.created.Unix(), 10)
	all["LastModifiedTimestamp"] = strconv.FormatInt(q.modified.Unix(), 10)
	all["ApproximateNumberOfMessages"] = strconv.Itoa(number[visible])
	all["ApproximateNumberOfMessagesNotVisible"] = strconv.Itoa(number[inFlight])
	all["ApproximateNumberOfMessagesDelayed"] = strconv.Itoa(number[delayed])
	return all
}
