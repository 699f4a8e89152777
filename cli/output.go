package cli

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// encode prints v as JSON on standard output, one line.
func (s *state) encode(v any) error {
	e := json.NewEncoder(s.stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table prints rows in columns, as wide as their widest cell; the last one is not padded.
func (s *state) table(rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		s.printf("%s\n", strings.TrimRight(line.String(), " "))
	}
}
