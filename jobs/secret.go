package jobs

import (
	"fmt"
	"log/slog"
)

// Secret is a setting that prints nowhere: not by fmt, not as JSON or text, not in a log, not in
// `worker config show`. Convert it to a string where it is used.
type Secret string

const redacted = "[redacted]"

// String returns "[redacted]", or nothing when there is no secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// Format prints the redacted form under every verb: %s, %v, %+v, %#v, %q, %x.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText encodes the redacted form, for JSON too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue logs the redacted form.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
