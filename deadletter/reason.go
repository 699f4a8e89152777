package deadletter

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxReason = 300
	// maxText bounds the error text that is looked at.
	maxText = 4 << 10
	// templateBytes is how much of a reason a fingerprint covers.
	templateBytes = 120
)

// Fingerprint is the group of a failure: six characters that failures of one job, class and reason
// have in common.
func Fingerprint(job, class, reason string) string {
	sum := sha256.Sum256([]byte(job + "\x00" + class + "\x00" + cut(reason, templateBytes)))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:6])
}

// Class names the kind of an error as a record does: its own word, else the type of its root cause. It
// is empty for nil.
func Class(err error) string {
	if err == nil {
		return ""
	}
	if declared, ok := errors.AsType[interface {
		error
		Class() string
	}](err); ok && declared.Class() != "" {
		return cut(declared.Class(), 80)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "timeout"
	}
	if errors.Is(err, context.Canceled) {
		return "canceled"
	}
	switch name := fmt.Sprintf("%T", root(err)); name {
	case "*errors.errorString", "*fmt.wrapError", "*fmt.wrapErrors", "*errors.joinError":
		return "error"
	default:
		return cut(strings.TrimPrefix(name, "*"), 80)
	}
}

// root follows the first cause down to the error that wraps nothing.
func root(err error) error {
	for {
		var next error
		switch e := err.(type) { //nolint:errorlint // it walks the chain itself
		case interface{ Unwrap() error }:
			next = e.Unwrap()
		case interface{ Unwrap() []error }:
			if causes := e.Unwrap(); len(causes) > 0 {
				next = causes[0]
			}
		}
		if next == nil {
			return err
		}
		err = next
	}
}

// Reason is the text of an error as a record has it: without anything that differs from message to
// message, and without anything of body, which is the message's own outside any envelope.
func Reason(err error, body string) string {
	if err == nil {
		return ""
	}
	text := worded(err.Error(), body)
	if framed, ok := errors.AsType[interface {
		error
		Frame() string
	}](err); ok && framed.Frame() != "" {
		text = cut(text, maxReason-100) + " in " + cut(framed.Frame(), 96)
	}
	return cut(text, maxReason)
}

// worded is a text without anything that differs from message to message, and without anything of body.
func worded(text, body string) string { return normalise(scrub(printable(cut(text, maxText)), body)) }

// printable puts a space for what SQS refuses in an attribute or a terminal obeys.
func printable(s string) string {
	s = strings.ToValidUTF8(s, "?")
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// variable are the parts of a message that differ from one failure to the next, in the order in
// which they are recognised.
var variable = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|` + "`[^`]*`"), "<quoted>"},
	{regexp.MustCompile(`\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s<>"]+`), "<url>"},
	{regexp.MustCompile(`[\w.+%-]+@[\w-]+(?:\.[\w-]+)+`), "<email>"},
	{regexp.MustCompile(`\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b`), "<uuid>"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?\b`), "<time>"},
	{regexp.MustCompile(`\[[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(?:%\w+)?\]:\d+`), "<ip>:<port>"},
	{regexp.MustCompile(`\b(?:\d{1,3}\.){3}\d{1,3}:\d+\b`), "<ip>:<port>"},
	{regexp.MustCompile(`\b(?:\d{1,3}\.){3}\d{1,3}\b`), "<ip>"},
	{regexp.MustCompile(`\b(?:[0-9a-fA-F]{1,4}:){2,7}[0-9a-fA-F]{0,4}\b|\b(?:[0-9a-fA-F]{1,4}:)*:(?:[0-9a-fA-F]{1,4}:)*[0-9a-fA-F]{1,4}\b`), "<ip>"},
	{regexp.MustCompile(`(^|[\s(=])(?:\.{0,2}/[\w.@+-]+)+/?`), "${1}<path>"},
	{regexp.MustCompile(`\b(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|h|m|s))+\b`), "<duration>"},
	{regexp.MustCompile(`\b(?:0[xX])?[0-9a-fA-F]*[0-9][0-9a-fA-F]*\b`), ""}, // see hex
	{regexp.MustCompile(`[-+]?\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?`), ""},       // see number
}

func normalise(s string) string {
	for i, v := range variable {
		switch i {
		case len(variable) - 2:
			s = v.pattern.ReplaceAllStringFunc(s, hex)
		case len(variable) - 1:
			s = number(v.pattern, s)
		default:
			s = v.pattern.ReplaceAllString(s, v.name)
		}
	}
	return s
}

func hex(s string) string {
	if len(s) >= 8 && strings.ContainsAny(s, "abcdefABCDEF") || strings.HasPrefix(s, "0x") || strings.HasPrefix(s, "0X") {
		return "<hex>"
	}
	return s
}

// number replaces numbers, save what reads as a status of SMTP or HTTP: it is often the whole
// reason, and the same for every message that failed so.
func number(pattern *regexp.Regexp, s string) string {
	var b strings.Builder
	last := 0
	for _, at := range pattern.FindAllStringIndex(s, -1) {
		n := s[at[0]:at[1]]
		b.WriteString(s[last:at[0]])
		alone := (at[0] == 0 || s[at[0]-1] == ' ') && (at[1] == len(s) || strings.ContainsRune(" :;,.-", rune(s[at[1]])))
		if alone && len(n) == 3 && n[0] >= '1' && n[0] <= '5' {
			b.WriteString(n)
		} else {
			b.WriteString("<n>")
		}
		last = at[1]
	}
	b.WriteString(s[last:])
	return b.String()
}

// cut shortens s to at most n bytes of whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
