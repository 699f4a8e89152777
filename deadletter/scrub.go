package deadletter

import (
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// shingle is the shortest stretch of the body that counts as a quotation when it stands inside
	// longer words or sentences.
	shingle = 12
	// maxValues bounds the values of one body that are looked for.
	maxValues = 10_000
)

const hidden = "<body>"

// scrub takes everything out of text that the body holds: its values as whole words, and any
// longer stretch of it.
func scrub(text, body string) string {
	if text == "" || body == "" {
		return text
	}
	values := valuesOf(body)
	covered := make([]bool, len(text))
	for _, v := range values {
		coverWord(covered, text, v)
	}
	coverStretches(covered, text, append(values, printable(body)))
	return blank(text, covered)
}

// valuesOf returns the strings and numbers of a JSON body; the text itself when it is none.
func valuesOf(body string) []string {
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.UseNumber()
	var parsed any
	if err := decoder.Decode(&parsed); err != nil {
		return []string{strings.TrimSpace(body)}
	}
	var values []string
	var walk func(any)
	walk = func(v any) {
		if len(values) >= maxValues {
			return
		}
		switch v := v.(type) {
		case string:
			values = append(values, v)
			if p := printable(v); p != v {
				values = append(values, p)
			}
		case json.Number:
			values = append(values, v.String())
		case []any:
			for _, each := range v {
				walk(each)
			}
		case map[string]any:
			for _, each := range v {
				walk(each)
			}
		}
	}
	walk(parsed)
	return values
}

// coverWord marks value wherever it stands as a word of its own.
func coverWord(covered []bool, text, value string) {
	value = strings.TrimSpace(value)
	if value == "" || len(value) > len(text) {
		return
	}
	for from := 0; ; {
		at := strings.Index(text[from:], value)
		if at < 0 {
			return
		}
		start, end := from+at, from+at+len(value)
		if !joined(text, start) && !joined(text, end) {
			for i := start; i < end; i++ {
				covered[i] = true
			}
		}
		from = start + 1
	}
}

// joined reports whether the characters on both sides of a place belong to one word.
func joined(text string, at int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:at])
	after, _ := utf8.DecodeRuneInString(text[at:])
	return wordy(before) && wordy(after)
}

func wordy(r rune) bool {
	return r != utf8.RuneError && (r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r))
}

// coverStretches marks every stretch of at least shingle bytes that text shares with a source.
func coverStretches(covered []bool, text string, sources []string) {
	if len(text) < shingle {
		return
	}
	places := make(map[string][]int, len(text))
	for i := 0; i+shingle <= len(text); i++ {
		places[text[i:i+shingle]] = append(places[text[i:i+shingle]], i)
	}
	for _, source := range sources {
		for i := 0; i+shingle <= len(source); i++ {
			for _, at := range places[source[i:i+shingle]] {
				for j := at; j < at+shingle; j++ {
					covered[j] = true
				}
			}
		}
	}
}

// blank puts one mark for each covered stretch, whole characters only.
func blank(text string, covered []bool) string {
	var b strings.Builder
	inside := false
	for i, r := range text {
		size := utf8.RuneLen(r)
		hide := false
		for j := i; j < i+size && j < len(covered); j++ {
			hide = hide || covered[j]
		}
		if !hide {
			b.WriteRune(r)
		} else if !inside {
			b.WriteString(hidden)
		}
		inside = hide
	}
	return b.String()
}
