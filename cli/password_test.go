package cli

import (
	"strings"
	"testing"
)

// TestNoCommandPrintsThePasswordOfAnEndpoint: a URL of somebody's may have one.
func TestNoCommandPrintsThePasswordOfAnEndpoint(t *testing.T) {
	a := newAccount(t)
	file := `
[topics.orders]
[[subscriptions]]
topic = "orders"
protocol = "https"
endpoint = "https://user:hunter2@example.com"
`
	for _, args := range [][]string{
		{"topology", "map"},
		{"topology", "map", "--mermaid"},
		{"topology", "map", "--json"},
		{"topology", "plan"},
		{"topology", "plan", "--json"},
		{"doctor"},
		{"doctor", "--json"},
		{"config", "show"},
		{"iam", "worker"},
	} {
		out, said, _ := a.run(file, "", args...)
		if text := out + said; strings.Contains(text, "hunter2") || text == "" {
			t.Errorf("%v: %s", args, text)
		}
	}
}
