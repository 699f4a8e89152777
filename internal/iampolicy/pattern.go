package iampolicy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// glyph is one place of a pattern: a byte, which stands for itself, or a wildcard.
type glyph uint16

const (
	anyText glyph = 256 + iota // *
	anyByte                    // ?
)

// pattern is a text of a policy, ready to be compared. Wildcards match bytes: what policies speak of
// is ASCII.
type pattern []glyph

// literal appends a text in which nothing is a wildcard.
func (p pattern) literal(text string) pattern {
	for i := range len(text) {
		p = append(p, glyph(text[i]))
	}
	return p
}

// wild appends a text in which * and ? are wildcards.
func (p pattern) wild(text string) pattern {
	for i := range len(text) {
		switch text[i] {
		case '*':
			p = append(p, anyText)
		case '?':
			p = append(p, anyByte)
		default:
			p = append(p, glyph(text[i]))
		}
	}
	return p
}

func (p pattern) String() string {
	text := make([]byte, len(p))
	for i, g := range p {
		switch g {
		case anyText:
			text[i] = '*'
		case anyByte:
			text[i] = '?'
		default:
			text[i] = byte(g)
		}
	}
	return string(text)
}

// match never tries more than one position of the last star again, so a hostile pattern costs its
// length times the text's and no more.
func (p pattern) match(text string) bool {
	at, t, star, resume := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case at < len(p) && p[at] == anyText:
			star, resume = at, t
			at++
		case at < len(p) && (p[at] == anyByte || p[at] == glyph(text[t])):
			at++
			t++
		case star >= 0:
			resume++
			at, t = star+1, resume
		default:
			return false
		}
	}
	return !slices.ContainsFunc(p[at:], func(g glyph) bool { return g != anyText })
}

// matchARN compares part by part: a wildcard stays inside its part, and only the last part, the
// resource, may hold colons.
func (p pattern) matchARN(arn string) bool {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return false
	}
	for _, part := range parts[:5] {
		end := slices.Index(p, ':')
		if end < 0 || !p[:end].match(part) {
			return false
		}
		p = p[end+1:]
	}
	return p.match(parts[5])
}

// template is a text of a policy in which variables may stand: ${aws:PrincipalAccount}, with a
// default ${aws:username, 'nobody'}, and ${*}, ${?} and ${$} for characters that mean something else
// otherwise. Source: "IAM policy elements: variables and tags", IAM User Guide.
type template struct {
	text  string // as it was written
	parts []part // the pattern of a template without variables is its only part's
}

// part is a piece of pattern, and the variable that follows it.
type part struct {
	pattern pattern
	key     string  // of the variable; "" after the last piece
	preset  *string // the variable's default
}

// variable at the start of a text; its groups are a special character, or a key and its default.
var variable = regexp.MustCompile(`^\$\{(?:([*?$])|([A-Za-z0-9-]+:[^{}',]*[^{}',\s])(?:\s*,\s*'([^']*)')?)\}`)

// parseTemplate reads a text. Whether it has variables is a question of the policy's Version, and
// whether it has wildcards one of the operator.
func parseTemplate(text string, variables, wildcards bool) (template, error) {
	t := template{text: text}
	var p pattern
	for rest := text; rest != ""; {
		if variables && strings.HasPrefix(rest, "${") {
			at := variable.FindStringSubmatchIndex(rest)
			if at == nil {
				return t, fmt.Errorf("the variable in %q cannot be read: write ${key} or ${key, 'default'}, and ${$} for a dollar sign", text)
			}
			switch {
			case at[2] >= 0:
				p = p.literal(rest[at[2]:at[3]])
			case at[6] >= 0:
				preset := rest[at[6]:at[7]]
				t.parts, p = append(t.parts, part{p, rest[at[4]:at[5]], &preset}), nil
			default:
				t.parts, p = append(t.parts, part{p, rest[at[4]:at[5]], nil}), nil
			}
			rest = rest[at[1]:]
			continue
		}
		piece := rest
		if next := strings.Index(rest[1:], "${"); variables && next >= 0 {
			piece = rest[:next+1]
		}
		if wildcards {
			p = p.wild(piece)
		} else {
			p = p.literal(piece)
		}
		rest = rest[len(piece):]
	}
	t.parts = append(t.parts, part{pattern: p})
	return t, nil
}

// fill puts a request's values in the place of the variables. One without a value, or with several,
// makes a text that is like nothing.
func (t *template) fill(q *Request) (p pattern, ok bool) {
	if len(t.parts) == 1 {
		return t.parts[0].pattern, true
	}
	for _, part := range t.parts {
		p = append(p, part.pattern...)
		if part.key == "" {
			continue
		}
		switch values := q.values(part.key); {
		case len(values) == 1:
			p = p.literal(values[0])
		case part.preset != nil:
			p = p.literal(*part.preset)
		default:
			return nil, false
		}
	}
	return p, true
}

// match tells whether a text is what the template means in a request.
func (t *template) match(q *Request, text string) bool {
	p, ok := t.fill(q)
	return ok && p.match(text)
}

// variableBefore tells whether a variable stands before the nth colon.
func (t *template) variableBefore(n int) bool {
	for _, part := range t.parts {
		for _, g := range part.pattern {
			if g == ':' {
				n--
			}
		}
		if n > 0 && part.key != "" {
			return true
		}
	}
	return false
}
