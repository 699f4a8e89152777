package doctor_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stationmaster/worker/doctor"
)

var (
	testFunction = regexp.MustCompile(`(?m)^((?://.*\n)*)func (Test\w+)\(`)
	testMark     = regexp.MustCompile("`([^`]+)`")
)

// CHECKS.md lists every check of the catalogue with the tests that prove it: each of them must be there,
// and say the code.
func TestChecksAreProvenByTheTestsThatTheyName(t *testing.T) {
	tests := map[string]bool{}
	for name := range losses() {
		tests["TestEachLossIsNamedAndMended/"+name] = true
	}
	for name := range faults() {
		tests["TestEachFaultIsNamed/"+name] = true
	}
	paths, err := filepath.Glob("*_test.go")
	must(t, err)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		must(t, err)
		for _, m := range testFunction.FindAllStringSubmatch(string(text), -1) {
			tests[m[2]] = true
			for _, code := range regexp.MustCompile(`[DQ]-\d\d`).FindAllString(m[1], -1) {
				tests[m[2]+" "+code] = true
			}
		}
	}
	text, err := os.ReadFile("CHECKS.md")
	must(t, err)
	var rows [][]string
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) == 5 && regexp.MustCompile(`^[DQ]-\d\d$`).MatchString(cells[0]) {
			rows = append(rows, cells)
		}
	}
	all := doctor.Catalogue()
	if len(rows) != len(all) {
		t.Fatalf("CHECKS.md has %d rows, the catalogue %d checks", len(rows), len(all))
	}
	for i, c := range all {
		row := rows[i]
		if want := []string{c.Code, string(c.Severity), c.Title, strings.Join(c.How, ", ")}; !slices.Equal(row[:4], want) {
			t.Errorf("CHECKS.md: got %q, want %q", row[:4], want)
		}
		named := testMark.FindAllStringSubmatch(row[4], -1)
		if len(named) == 0 && !c.Unseen() {
			t.Errorf("CHECKS.md: %s has no test", c.Code)
		}
		for _, m := range named {
			says := strings.Contains(m[1], "/"+c.Code) || tests[m[1]+" "+c.Code]
			if !tests[m[1]] || !says {
				t.Errorf("CHECKS.md: %s: there is no test %s that says so", c.Code, m[1])
			}
		}
	}
}
