package snsfilter

import "strings"

// wildcard is a pattern, as the texts between its stars.
type wildcard []string

// compileWildcard reads a pattern. A backslash makes a star or a backslash of the one that follows.
// Where SNS tells a position, it counts the quotation mark before the pattern.
func compileWildcard(pattern string) (wildcard, error) {
	var w wildcard
	var piece strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '*':
			if strings.HasPrefix(pattern[i+1:], "*") {
				return nil, faultf("Consecutive wildcard characters at pos %d", i+1)
			}
			w = append(w, piece.String())
			piece.Reset()
		case '\\':
			if i++; i == len(pattern) || pattern[i] != '*' && pattern[i] != '\\' {
				return nil, faultf("Invalid escape character at pos %d", i)
			}
			piece.WriteByte(pattern[i])
		default:
			piece.WriteByte(c)
		}
	}
	w = append(w, piece.String())
	if w.stars() > maxWildcards {
		// No source has AWS's words for this one.
		return nil, faultf("wildcard match pattern can not have more than %d wildcards", maxWildcards)
	}
	return w, nil
}

func (w wildcard) stars() int { return len(w) - 1 }

// points is what a pattern costs: 1 with one star, 3 with more. A field costs the sum of its
// patterns times their number. Source: "Wildcard pattern usage guidelines", Developer Guide.
func (w wildcard) points() int {
	switch w.stars() {
	case 0:
		return 0
	case 1:
		return 1
	default:
		return 3
	}
}

// match takes the first place for each text between two stars: a later one could not do better, so
// that nothing is tried twice.
func (w wildcard) match(s string) bool {
	last := len(w) - 1
	if last == 0 {
		return s == w[0]
	}
	s, ok := strings.CutPrefix(s, w[0])
	if !ok {
		return false
	}
	if s, ok = strings.CutSuffix(s, w[last]); !ok {
		return false
	}
	for _, piece := range w[1:last] {
		at := strings.Index(s, piece)
		if at < 0 {
			return false
		}
		s = s[at+len(piece):]
	}
	return true
}
