package localaws

import "maps"

// maxQueueTags is how many tags a queue may have. Source: TagQueue, SQS API reference.
const maxQueueTags = 50

func checkTags(have, add map[string]string) error {
	n := len(have)
	for key, value := range add {
		switch {
		case key == "" || len(key) > 128:
			return refuse("InvalidParameterValue", "Tag keys must be between 1 and 128 characters in length.")
		case len(value) > 256:
			return refuse("InvalidParameterValue", "Tag values must be between 0 and 256 characters in length.")
		}
		if _, ok := have[key]; !ok {
			n++
		}
	}
	if n > maxQueueTags {
		return refuse("InvalidParameterValue", "Too many tags added for queue: %d, the limit is %d.", n, maxQueueTags)
	}
	return nil
}

func tagQueue(c *call, in *struct {
	queueInput
	Tags map[string]string
},
) (any, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	q, err := c.queue(in.QueueURL)
	if err != nil {
		return nil, err
	}
	if len(in.Tags) == 0 {
		return nil, missing("Tags")
	}
	if err := checkTags(q.tags, in.Tags); err != nil {
		return nil, err
	}
	if q.tags == nil {
		q.tags = map[string]string{}
	}
	maps.Copy(q.tags, in.Tags)
	return nil, nil
}

func untagQueue(c *call, in *struct {
	queueInput
	TagKeys []string
},
) (any, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	q, err := c.queue(in.QueueURL)
	if err != nil {
		return nil, err
	}
	if len(in.TagKeys) == 0 {
		return nil, missing("TagKeys")
	}
	for _, key := range in.TagKeys {
		delete(q.tags, key)
	}
	return nil, nil
}

func listQueueTags(c *call, in *queueInput) (any, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	q, err := c.queue(in.QueueURL)
	if err != nil {
		return nil, err
	}
	return struct {
		Tags map[string]string `json:",omitempty"`
	}{maps.Clone(q.tags)}, nil
}
