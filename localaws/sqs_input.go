package localaws

import (
	"encoding/json"
	"unicode/utf8"
)

// sqs turns an action on its decoded input into one on a call, in either protocol.
func sqs[In any](action func(*call, *In) (any, error)) queryAction {
	return func(c *call) (any, error) {
		in := new(In)
		if c.form != nil {
			if c.queuePath != "" && !c.form.Has("QueueUrl") { // a QueueUrl of its own counts more [LS✓ test_overwrite_queue_url_in_params]
				c.form.Set("QueueUrl", c.queuePath)
			}
			if err := decodeForm(c.action, c.form, in); err != nil {
				return nil, err
			}
		} else if err := decodeJSON(c.body, in); err != nil {
			return nil, err
		}
		return action(c, in)
	}
}

func decodeJSON(body []byte, into any) error {
	if !utf8.Valid(body) {
		// encoding/json would quietly put U+FFFD where the bytes are wrong.
		return refuse("SerializationException", "the request is not valid UTF-8")
	}
	if len(body) == 0 {
		return nil
	}
	if n := countValues(body); n > maxParameters {
		return refuse("SerializationException", "the request has %d values, at most %d", n, maxParameters)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return refuse("SerializationException", "%v", err)
	}
	return nil
}

// countValues tells about how many values a JSON document has: what it costs to build them has to be
// bounded before they are built. Small documents count as one.
func countValues(body []byte) int {
	if len(body) < 4*maxParameters {
		return 1
	}
	n, quoted := 1, false
	for i := 0; i < len(body); i++ {
		switch b := body[i]; {
		case b == '"':
			quoted = !quoted
		case quoted && b == '\\':
			i++
		case !quoted && (b == ',' || b == '[' || b == '{'):
			n++
		}
	}
	return n
}
