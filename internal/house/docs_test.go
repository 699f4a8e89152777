package house_test

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

var (
	codeSpan = regexp.MustCompile("`([^`\n]+)`")
	link     = regexp.MustCompile(`\]\(([^)#\s]+)`)
	// elsewhere are paths of something else: media types and packages of the standard library.
	elsewhere = regexp.MustCompile(`^(application|text|testing|net|go|encoding|log|crypto)/`)
	// filePath is what a document calls a file or a folder of the tree: a path with a slash, or a
	// name with an ending that only files have.
	filePath = regexp.MustCompile(`^(\.?[A-Za-z][\w-]*/[\w./-]+|[\w-]+\.(go|md|toml|sh|yml|mod)|Makefile|Dockerfile|LICENSE)$`)
)

func TestDocumentsNameFilesThatExist(t *testing.T) {
	tree := os.DirFS(root)
	for _, document := range []string{"README.md", "DESIGN.md"} {
		text, err := fs.ReadFile(tree, document)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range missing(tree, string(text)) {
			t.Errorf("%s names %s, which is not in the tree", document, name)
		}
	}
}

func TestMissingFindsOnlyWhatIsMissing(t *testing.T) {
	tree := fstest.MapFS{"queue/queue.go": {}, "config.toml": {}}
	text := "`queue/queue.go` `queue/` `gone/away.go` `config.toml` `away.toml` `github.com/x/y` `jobs/<name>` `retry.Never` " +
		"`make run` `application/json` `testing/synctest` [a](DESIGN.md) [b](queue/queue.go#L3) [c](https://example.com/x)"
	got := strings.Join(missing(tree, text), " ")
	if want := "gone/away.go away.toml DESIGN.md"; got != want {
		t.Errorf("missing = %q, want %q", got, want)
	}
}

// missing returns the files that a document names and the tree does not hold.
func missing(tree fs.FS, text string) []string {
	var names []string
	for _, m := range codeSpan.FindAllStringSubmatch(text, -1) {
		if filePath.MatchString(m[1]) && !elsewhere.MatchString(m[1]) {
			names = append(names, m[1])
		}
	}
	for _, m := range link.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(m[1], "://") {
			names = append(names, m[1])
		}
	}
	var gone []string
	for _, name := range names {
		if _, err := fs.Stat(tree, path.Clean(name)); err != nil {
			gone = append(gone, name)
		}
	}
	return gone
}
