package journal_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/journal"
)

// lines returns n different lines.
func lines(n int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = fmt.Appendf(nil, `{"n":%d}`, i)
	}
	return all
}

func texts(lines [][]byte) []string {
	all := make([]string, len(lines))
	for i, line := range lines {
		all[i] = string(line)
	}
	return all
}

// collect returns a func for Open and Read, and what it was called with.
func collect() (each func([]byte) error, got *[]string) {
	got = &[]string{}
	return func(line []byte) error {
		*got = append(*got, string(line))
		return nil
	}, got
}

func TestWhatWasAppendedIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	l, err := journal.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	want := lines(5)
	if err := l.Append(want[:3]...); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	each, got := collect()
	l, err = journal.Open(path, each)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(texts(want[:3]), *got); diff != "" {
		t.Error(diff)
	}
	if err := l.Write(want[3:]...); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	each, got = collect()
	if err := journal.Read(path, each); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(texts(want), *got); diff != "" {
		t.Error(diff)
	}
}
