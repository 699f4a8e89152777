package localaws

import (
	"regexp"
	"strconv"
	"strings"
)

// Limits of messages. Source: "Amazon SQS message quotas", SQS Developer Guide.
const (
	maxAttributes = 10
	maxBatch      = 10
	maxBatchBytes = 1 << 20
	maxName       = 256
)

var (
	attributeName = regexp.MustCompile(`^[a-zA-Z0-9_.\-]+$`)
	groupID       = regexp.MustCompile("^[a-zA-Z0-9!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]{1,128}$")
	entryID       = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,80}$`)
)

func badValue(format string, args ...any) *apiError {
	return refuse("InvalidParameterValue", format, args...)
}

// outside is SQS's answer to a number beyond its bounds.
func outside(value int, parameter string, least, most int) *apiError {
	return badValue("Value %d for parameter %s is invalid. Reason: Must be >= %d and <= %d, if provided.", value, parameter, least, most)
}

// checkMessage says why a queue does not take a message, or nil. It fills in what the queue makes
// of the content.
func (q *sqsQueue) checkMessage(m *sqsMessage) error {
	if err := m.checkBody(); err != nil {
		return err
	}
	if len(m.attributes) > maxAttributes {
		return badValue("Number of message attributes [%d] exceeds the allowed maximum [%d].", len(m.attributes), maxAttributes)
	}
	for name, a := range m.attributes {
		if err := checkAttribute(name, a); err != nil {
			return err
		}
	}
	if m.size() > q.maxSize {
		return badValue("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", q.maxSize)
	}
	return q.checkOrder(m)
}

func (m *sqsMessage) checkBody() error {
	switch {
	case m.envelope != nil:
		return m.envelope.check()
	case m.body == "":
		return missing("MessageBody")
	default:
		return checkCharacters(m.body)
	}
}

// text is the body. No lock must be held: the signature of an envelope takes its time.
func (m *sqsMessage) text() string {
	if m.envelope != nil {
		return m.envelope.text(m.to)
	}
	return m.body
}

// size is what counts toward the limits: the body, and names, types and values of the attributes.
func (m *sqsMessage) size() int {
	n := len(m.body)
	if m.envelope != nil {
		n = m.envelope.size(m.to)
	}
	for name, a := range m.attributes {
		n += len(name) + len(a.Type) + len(a.String) + len(a.Binary)
	}
	return n
}

// checkCharacters lets through what XML 1.0 can carry, as SQS does still.
func checkCharacters(text string) error {
	for i := range len(text) {
		b := text[i]
		// U+FFFE and U+FFFF are the only characters that begin with these two bytes and end so.
		if b < 0x20 && b != '\t' && b != '\n' && b != '\r' ||
			b == 0xEF && i+2 < len(text) && text[i+1] == 0xBF && text[i+2] >= 0xBE {
			return refuse("InvalidMessageContents", "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF")
		}
	}
	return nil
}

func checkAttribute(name string, a sqsAttribute) error {
	lower := strings.ToLower(name)
	switch {
	case len(name) >= maxName:
		return badValue("Message (user) attribute names must be shorter than 256 Bytes")
	case !attributeName.MatchString(name):
		return badValue("Message (user) attributes name can only contain upper and lower score characters, digits, periods, hyphens and underscores. ")
	case strings.HasPrefix(lower, "aws."), strings.HasPrefix(lower, "amazon."), strings.HasPrefix(name, "."), strings.HasSuffix(name, "."), strings.Contains(name, ".."):
		return badValue("You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings are reserved for internal use. Additionally, they cannot start or end with '.'.")
	case a.Type == "":
		return badValue("The message attribute '%s' must contain a non-empty attribute type.", name)
	case len(a.Type) >= maxName:
		return badValue("Message (user) attribute types must be shorter than 256 Bytes")
	}
	kind, label, labeled := strings.Cut(a.Type, ".")
	if kind != "String" && kind != "Number" && kind != "Binary" || labeled && label == "" {
		return badValue("The type of message (user) attribute '%s' is invalid. You must use only the following supported type prefixes: Binary, Number, String.", name)
	}
	if kind == "Binary" && len(a.Binary) == 0 || kind != "Binary" && a.String == "" {
		return badValue("Message (user) attribute '%s' must contain a non-empty value of type '%s'.", name, kind)
	}
	if kind == "Number" {
		if _, err := strconv.ParseFloat(a.String, 64); err != nil {
			return badValue("Can't cast the value of message (user) attribute '%s' to a number.", name)
		}
	}
	return checkCharacters(a.String)
}

// checkBatch checks what makes SQS refuse a batch as a whole.
func checkBatch(n int, id func(int) string) error {
	switch {
	case n == 0:
		return refuse("EmptyBatchRequest", "There should be at least one entry in the request.")
	case n > maxBatch:
		return refuse("TooManyEntriesInBatchRequest", "Maximum number of entries per request are %d. You have sent %d.", maxBatch, n)
	}
	seen := map[string]bool{}
	for i := range n {
		switch id := id(i); {
		case !entryID.MatchString(id):
			return refuse("InvalidBatchEntryId", "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")
		case seen[id]:
			return refuse("BatchEntryIdsNotDistinct", "Id %s repeated.", id)
		default:
			seen[id] = true
		}
	}
	return nil
}

// failed is the answer for one entry of a batch.
type failed struct {
	ID          string `json:"Id"`
	SenderFault bool
	Code        string
	Message     string
}

// batchOutput is the answer of every batch action. Both lists are always there, as on AWS.
type batchOutput struct {
	Successful []any
	Failed     []failed
}

// each performs the entries of a batch one by one: one that fails does not touch the others.
func (c *call) each(n int, id func(int) string, perform func(int) (any, error)) (any, error) {
	out := batchOutput{Successful: []any{}, Failed: []failed{}}
	for i := range n {
		var done any
		var err error
		if injected := c.entryFault(id(i)); injected != nil {
			err = injected
		} else {
			done, err = perform(i)
		}
		if err != nil {
			e := asAPI(err)
			out.Failed = append(out.Failed, failed{ID: id(i), SenderFault: e.fault() == "Sender", Code: queryCode(e.Code), Message: e.Message})
			continue
		}
		out.Successful = append(out.Successful, done)
	}
	return out, nil
}

// settled is the answer for an entry that needs none but its id.
type settled struct {
	ID string `json:"Id"`
}

func missing(parameter string) *apiError {
	return refuse("MissingParameter", "The request must contain the parameter %s.", parameter)
}
