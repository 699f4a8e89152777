package localaws

import (
	"encoding/json"
	"unicode/utf8"
)

// sqs turns an action on its decoded input into one on a call.
func sqs[In any](action func(*call, *In) (any, error)) queryAction {
	return func(c *call) (any, error) {
		in := new(In)
		if !utf8.Valid(c.body) {
			// encoding/json would quietly put U+FFFD where the bytes are wrong.
			return nil, refuse("SerializationException", "the request is not valid UTF-8")
		}
		if len(c.body) > 0 {
			if err := json.Unmarshal(c.body, in); err != nil {
				return nil, refuse("SerializationException", "%v", err)
			}
		}
		return action(c, in)
	}
}
