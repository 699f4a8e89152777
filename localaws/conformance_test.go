package localaws_test

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stationmaster/worker/localaws"
)

// conformanceAt names another SNS and SQS for TestConformance (make test-conformance): LocalStack.
const conformanceAt = "LOCALAWS_CONFORMANCE_ENDPOINT"

// fact is one thing that AWS does, as a program sees it over the wire. Facts run against the embedded
// server and against LocalStack; where LocalStack does something else, DIFFERENCES.md says so.
type fact struct {
	section string // of aws-semantics.md
	says    string
	check   func(k *conformance)
}

func (f fact) name() string { return f.section + " " + f.says }

// facts are all that TestConformance checks.
func facts() []fact {
	return slices.Concat(queueFacts, messageFacts, receiptFacts, batchFacts, topicFacts, subscriptionFacts, deliveryFacts, fifoTopicFacts, endpointFacts)
}

func TestConformance(t *testing.T) {
	endpoint, theirs := os.LookupEnv(conformanceAt) //nolint:forbidigo // a test has no cli to ask
	if !theirs {
		server := httptest.NewServer(localaws.New(localaws.Options{}))
		t.Cleanup(server.Close)
		endpoint = server.URL
	}
	listed := differences(t)
	var mu sync.Mutex
	var differ, surprises []string
	all := facts()
	t.Run("facts", func(t *testing.T) {
		for _, f := range all {
			t.Run(f.name(), func(t *testing.T) {
				t.Parallel() // a lease of a second takes one
				err := newConformance(t, endpoint).try(f)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					differ = append(differ, f.name())
				}
				switch _, known := listed[f.name()]; {
				case theirs && known != (err != nil):
					surprises = append(surprises, fmt.Sprintf("%s: listed as different: %t, found: %v", f.name(), known, err))
				case !theirs && err != nil:
					t.Error(err)
				}
			})
		}
	})
	for _, s := range surprises {
		t.Errorf("DIFFERENCES.md: %s", s)
	}
	server := "localaws"
	if theirs {
		server = "LocalStack"
	}
	t.Logf("conformance: %s agrees with %d of %d facts", server, len(all)-len(differ), len(all))
}

// differences reads the table of DIFFERENCES.md: what LocalStack does otherwise, by fact.
func differences(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("DIFFERENCES.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for line := range bytes.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(string(line)), "|"), "|")
		if len(cells) == 4 && strings.HasPrefix(strings.TrimSpace(cells[0]), "§") {
			listed[strings.TrimSpace(cells[0])] = strings.TrimSpace(cells[1])
		}
	}
	names := map[string]bool{}
	for _, f := range facts() {
		if names[f.name()] {
			t.Errorf("the fact %q is there twice", f.name())
		}
		names[f.name()] = true
	}
	for name := range listed {
		if !names[name] {
			t.Errorf("DIFFERENCES.md lists %q, which is no fact", name)
		}
	}
	return listed
}
