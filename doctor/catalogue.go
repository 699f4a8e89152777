package doctor

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
)

// Severity says how bad it is.
type Severity string

// The severities, the worst first.
const (
	Critical Severity = "C" // messages are lost or cannot arrive
	High     Severity = "H" // they will be, or come twice, after something that is bound to happen
	Medium   Severity = "M" // it degrades, hides or costs
	Low      Severity = "L" // hygiene
)

// Severities are all of them, the worst first.
func Severities() []Severity { return []Severity{Critical, High, Medium, Low} }

// Check is one entry of the catalogue: a way in which messages get lost, come twice or cost too much.
type Check struct {
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	// How it is looked for: "read", "settings", "sample", "kms", "cloudwatch", "permissions" or "unseen".
	How   []string `json:"how"`
	Title string   `json:"title"`
	Story string   `json:"story"` // paragraphs, their lines broken as in the catalogue
}

// Unseen tells that nothing AWS answers shows whether this is so.
func (c Check) Unseen() bool { return slices.Contains(c.How, "unseen") }

//go:embed catalogue.md
var text string

var catalogue = sync.OnceValue(func() (all []Check) {
	for section := range strings.SplitSeq(text, "\n## ") {
		head, body, _ := strings.Cut(section, "\n")
		words := strings.Fields(strings.ReplaceAll(head, ",", ""))
		if len(words) < 3 || words[0] == "#" {
			continue // what stands before the first check
		}
		title, story, _ := strings.Cut(body, "\n")
		all = append(all, Check{
			Code: words[0], Severity: Severity(words[1]), How: words[2:], Title: title, Story: strings.TrimSpace(story),
		})
	}
	return all
})

// Catalogue returns all checks, by code.
func Catalogue() []Check { return slices.Clone(catalogue()) }

// Explain returns the check with a code, whose case does not matter.
func Explain(code string) (Check, bool) {
	for _, c := range catalogue() {
		if strings.EqualFold(c.Code, code) {
			return c, true
		}
	}
	return Check{}, false
}
