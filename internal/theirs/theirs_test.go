package theirs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOnlyThisMachineIsTestedOn(t *testing.T) {
	for at, ok := range map[string]bool{
		"http://127.0.0.1:4566": true, "http://localhost:4566": true, "http://[::1]:4566": true,
		"https://sqs.us-east-1.amazonaws.com": false, "http://localstack:4566": false, "http://10.0.0.1:4566": false,
		"http://127.0.0.1.example.com": false, "127.0.0.1:4566": false, "%": false, "http://localhost.localstack.cloud:4566": false,
	} {
		if err := loopback(at); (err == nil) != ok {
			t.Errorf("%s: %v", at, err)
		}
	}
}

// fails notes the errors of a test.
type fails struct {
	testing.TB
	texts []string
}

func (f *fails) Helper() {}

func (f *fails) Errorf(format string, a ...any) { f.texts = append(f.texts, fmt.Sprintf(format, a...)) }

func TestADifferenceHasToBeOne(t *testing.T) {
	s := &Server{rows: rows("| a | doctor | x | y |\n| b | topology | x | y |\n", "doctor")}
	if got := slices.Collect(maps.Keys(s.rows)); !slices.Equal(got, []string{"a"}) {
		t.Fatalf("rows %v", got)
	}
	f := &fails{}
	s.AsAWS(f, "a", false, "no")
	s.AsAWS(f, "a", true, "no")
	s.AsAWS(f, "b", true, "no")
	s.AsAWS(f, "b", false, "%d came", 2)
	(*Server)(nil).AsAWS(f, "a", false, "none came")
	if diff := cmp.Diff([]string{`DIFFERENCES.md: "a" is no longer true: it is as on AWS`, "b: 2 came", "a: none came"}, f.texts); diff != "" || !s.rows["a"] {
		t.Error(diff)
	}
}

// The table is the one that is read.
func TestEachRowIsOfASuite(t *testing.T) {
	n := len(rows(differences, "doctor")) + len(rows(differences, "topology"))
	if want := strings.Count(differences, "\n| ") - 1; n != want { // and the head
		t.Errorf("%d rows are read, of %d", n, want)
	}
}
