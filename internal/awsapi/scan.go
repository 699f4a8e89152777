package awsapi

import (
	"unicode/utf16"
	"unicode/utf8"
)

// deepest bounds the nesting of what is passed over.
const deepest = 32

// scanner walks over JSON that is expected to have a certain shape. At the first thing that differs
// it goes bad, and whoever asked leaves the text to the SDK: it need not know what is wrong.
type scanner struct {
	b   []byte
	i   int
	bad bool
}

// next passes over white space and returns what follows; 0 at the end.
func (s *scanner) next() byte {
	for s.i < len(s.b) {
		switch c := s.b[s.i]; c {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return c
		}
	}
	return 0
}

// take passes over c, or goes bad.
func (s *scanner) take(c byte) {
	if s.bad || s.next() != c {
		s.bad = true
		return
	}
	s.i++
}

// each walks over the elements of an array or the members of an object that begins with open; do
// must consume one each time.
func (s *scanner) each(open byte, do func()) {
	s.take(open)
	end := open + 2 // "{" and "}", "[" and "]" stand two apart
	if s.bad {
		return
	}
	if s.next() == end {
		s.i++
		return
	}
	for !s.bad {
		do()
		switch s.next() {
		case ',':
			s.i++
		case end:
			s.i++
			return
		default:
			s.bad = true
		}
	}
}

// key reads the name of a member, with its colon. A name with an escape in it is none of ours.
func (s *scanner) key() []byte {
	name := s.plain()
	s.take(':')
	return name
}

// plain reads a string that has no escapes, as it stands in the text.
func (s *scanner) plain() []byte {
	s.take('"')
	start := s.i
	for !s.bad && s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return s.b[start : s.i-1]
		case c == '\\', c < ' ', c >= utf8.RuneSelf:
			s.bad = true
		}
		s.i++
	}
	s.bad = true
	return nil
}

// null reports whether null follows, and passes over it.
func (s *scanner) null() bool {
	if s.next() != 'n' {
		return false
	}
	s.word("null")
	return true
}

func (s *scanner) word(w string) {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		s.bad = true
		return
	}
	s.i += len(w)
}

// text appends a string to b.
func (s *scanner) text(b []byte) []byte {
	s.take('"')
	for !s.bad {
		start := s.i
		for s.i < len(s.b) && s.b[s.i] != '"' && s.b[s.i] != '\\' && s.b[s.i] >= ' ' && s.b[s.i] < utf8.RuneSelf {
			s.i++
		}
		b = append(b, s.b[start:s.i]...)
		if s.i == len(s.b) {
			break
		}
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return b
		case c == '\\':
			b = s.escape(b)
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRune(s.b[s.i:])
			if r == utf8.RuneError && size == 1 {
				s.bad = true
			}
			b = append(b, s.b[s.i:s.i+size]...)
			s.i += size
		default:
			s.bad = true
		}
	}
	s.bad = true
	return b
}

// escape appends what an escape stands for.
func (s *scanner) escape(b []byte) []byte {
	if s.i+1 >= len(s.b) {
		s.bad = true
		return b
	}
	c := s.b[s.i+1]
	s.i += 2
	switch c {
	case '"', '\\', '/':
		return append(b, c)
	case 'b':
		return append(b, '\b')
	case 'f':
		return append(b, '\f')
	case 'n':
		return append(b, '\n')
	case 'r':
		return append(b, '\r')
	case 't':
		return append(b, '\t')
	case 'u':
		r := s.hex()
		if utf16.IsSurrogate(r) {
			if s.i+1 >= len(s.b) || s.b[s.i] != '\\' || s.b[s.i+1] != 'u' {
				s.bad = true
				return b
			}
			s.i += 2
			if r = utf16.DecodeRune(r, s.hex()); r == utf8.RuneError {
				s.bad = true
			}
		}
		return utf8.AppendRune(b, r)
	}
	s.bad = true
	return b
}

// hex reads four hexadecimal digits.
func (s *scanner) hex() (r rune) {
	if s.i+4 > len(s.b) {
		s.bad = true
		return 0
	}
	for _, c := range s.b[s.i : s.i+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			s.bad = true
			return 0
		}
		r = r<<4 | rune(c)
	}
	s.i += 4
	return r
}

// skip passes over one value of any kind.
func (s *scanner) skip(depth int) {
	if depth > deepest {
		s.bad = true
		return
	}
	switch c := s.next(); {
	case c == '{':
		s.each('{', func() { s.text(nil); s.take(':'); s.skip(depth + 1) })
	case c == '[':
		s.each('[', func() { s.skip(depth + 1) })
	case c == '"':
		s.text(nil)
	case c == 't':
		s.word("true")
	case c == 'f':
		s.word("false")
	case c == 'n':
		s.word("null")
	case c == '-' || '0' <= c && c <= '9':
		s.number()
	default:
		s.bad = true
	}
}

// number passes over a number that is a whole one: SQS has no others.
func (s *scanner) number() {
	if s.b[s.i] == '-' {
		s.i++
	}
	start := s.i
	for s.i < len(s.b) && '0' <= s.b[s.i] && s.b[s.i] <= '9' {
		s.i++
	}
	if n := s.i - start; n == 0 || n > 18 || n > 1 && s.b[start] == '0' {
		s.bad = true
	}
}

// end goes bad when anything follows.
func (s *scanner) end() {
	if s.next(); s.i != len(s.b) {
		s.bad = true
	}
}
