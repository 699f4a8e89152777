package deadletter

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/stationmaster/worker/queue"
)

const (
	// maxShape bounds a shape, in bytes; maxKey each name in it.
	maxShape, maxKey = 120, 40
)

// Shape is what messages of one kind look alike by, where nobody says what they are: the sorted names
// of the top-level keys of a JSON body, inside an SNS envelope if it has one, as "{event, user_id}". It
// is "" for everything else. Names that differ from message to message are normalised as reasons are.
func Shape(body string) string {
	if n, enveloped := queue.ReadNotification(body); enveloped {
		body = n.Message
	}
	if !strings.HasPrefix(strings.TrimLeft(body, " \t\r\n"), "{") {
		return ""
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &top); err != nil {
		return ""
	}
	names := make(map[string]bool, len(top))
	for key := range top {
		names[cut(normalise(printable(cut(key, maxKey))), maxKey)] = true
	}
	var b strings.Builder
	b.WriteByte('{')
	for i, name := range slices.Sorted(maps.Keys(names)) {
		if i > 0 {
			b.WriteString(", ")
		}
		if b.Len()+len(name) > maxShape {
			b.WriteString("…")
			break
		}
		b.WriteString(name)
	}
	b.WriteByte('}')
	return b.String()
}
