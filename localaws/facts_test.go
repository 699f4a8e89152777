package localaws_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// leastProven is how many of a hundred statements must have a test.
const leastProven = 95

// factRow is a row of the first table of FACTS.md: number, sections, fact, tests.
type factRow struct {
	line     int
	number   string
	sections []string // "§1.2"
	tests    []string // none: not proven
}

var (
	sectionMark = regexp.MustCompile(`§\d+(\.\d+)?`)
	testMark    = regexp.MustCompile("`([^`]+)`")
	nameMark    = regexp.MustCompile(`_(\d)_(\d)_`) // of a test: TestFIFO_5_4_…
)

// FACTS.md says which test proves what of the project's notes on AWS: here it is held to that. Each test
// that it names must be there, and must name the section.
func TestFactsAreProvenByTheTestsThatTheyName(t *testing.T) {
	rows, tests := factRows(t), sourceTests(t)
	for _, f := range facts() {
		tests["TestConformance/"+f.name()] = sectionMark.FindString(f.section)
	}
	proven := 0
	for i, row := range rows {
		if row.number != strconv.Itoa(i+1) {
			t.Errorf("FACTS.md:%d: the number is %s, want %d", row.line, row.number, i+1)
		}
		for _, name := range row.tests {
			source, there := tests[name]
			if !there {
				t.Errorf("FACTS.md:%d: there is no test %s", row.line, name)
				continue
			}
			named := append(sectionMark.FindAllString(source, -1), nameMark.ReplaceAllString(nameMark.FindString(name), "§$1.$2"))
			if !slices.ContainsFunc(row.sections, func(s string) bool { return slices.Contains(named, s) }) {
				t.Errorf("FACTS.md:%d: %s names none of %v", row.line, name, row.sections)
			}
		}
		if len(row.tests) > 0 {
			proven++
		}
	}
	if len(rows) == 0 {
		t.Fatal("FACTS.md has no rows")
	}
	t.Logf("facts: %d of %d applicable statements proven (%.1f %%)", proven, len(rows), 100*float64(proven)/float64(len(rows)))
	if proven*100 < leastProven*len(rows) {
		t.Errorf("less than %d %% are proven", leastProven)
	}
}

// factRows reads the first table of FACTS.md. The second has three columns.
func factRows(t *testing.T) (rows []factRow) {
	t.Helper()
	text, err := os.ReadFile("FACTS.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range bytes.Lines(text) {
		n++
		cells := strings.Split(strings.Trim(strings.TrimSpace(string(line)), "|"), "|")
		if len(cells) != 4 || !sectionMark.MatchString(cells[1]) {
			continue
		}
		row := factRow{line: n, number: strings.TrimSpace(cells[0]), sections: sectionMark.FindAllString(cells[1], -1)}
		for _, m := range testMark.FindAllStringSubmatch(cells[3], -1) {
			row.tests = append(row.tests, m[1])
		}
		rows = append(rows, row)
	}
	return rows
}

// sourceTests are the tests of this package, as "TestX", and those of the packages below it, as
// "snsfilter.TestX", each with its comment and its text, and the cases of their tables, as
// "TestX/what it is called".
func sourceTests(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for pkg, dir := range map[string]string{
		"": ".", "snsfilter.": "../internal/snsfilter", "snsdelivery.": "../internal/snsdelivery", "iampolicy.": "../internal/iampolicy",
	} {
		paths, err := fs.Glob(os.DirFS(dir), "*_test.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if err := readTests(filepath.Join(dir, path), pkg, found); err != nil {
				t.Fatal(err)
			}
		}
	}
	return found
}

func readTests(path, pkg string, found map[string]string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, text, parser.ParseComments)
	if err != nil {
		return fmt.Errorf("parse: %w", err)
	}
	for _, d := range file.Decls {
		test, ok := d.(*ast.FuncDecl)
		if !ok || !strings.HasPrefix(test.Name.Name, "Test") {
			continue
		}
		from := test.Pos()
		if test.Doc != nil {
			from = test.Doc.Pos()
		}
		source := string(text[files.Position(from).Offset:files.Position(test.End()).Offset])
		found[pkg+test.Name.Name] = source
		ast.Inspect(test, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if name, err := strconv.Unquote(lit.Value); err == nil {
					found[pkg+test.Name.Name+"/"+name] = source
				}
			}
			return true
		})
	}
	return nil
}
