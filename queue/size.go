package queue

// Size returns the bytes that SQS counts: the body, and each attribute's name, type and value.
// Source: "Amazon SQS message quotas", Developer Guide.
func (m *Message) Size() int {
	n := len(m.Body)
	for name, a := range m.Attributes {
		n += len(name) + len(a.Type) + len(a.Text) + len(a.Binary)
	}
	return n
}
