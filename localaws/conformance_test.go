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
	return slices.Concat(
		queueFacts, settingFacts, messageFacts, receiptFacts, batchFacts, limitFacts, traceFacts, fifoFacts, moveFacts,
		topicFacts, subscriptionFacts, changeFacts, pendingFacts, deliveryFacts, policyFacts, filterFacts, envelopeFacts, fifoTopicFacts, endpointFacts,
	)
}

func TestConformance(t *testing.T) {
	endpoint, theirs := os.LookupEnv(conformanceAt) //nolint:forbidigo // a test has no cli to ask
	if !theirs {
		server := httptest.NewServer(localaws.New(localaws.Options{}))
		t.Cleanup(server.Close)
		endpoint = server.URL
	}
	listed := differences(t)
	var differ, surprises []string
	all := facts()
	found := checkAll(t, endpoint, all)
	for i, f := range all {
		t.Run(f.name(), func(t *testing.T) {
			err := found[i]
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
	for _, s := range surprises {
		t.Errorf("DIFFERENCES.md: %s", s)
	}
	server := "localaws"
	if theirs {
		server = "LocalStack"
	}
	t.Logf("conformance: %s agrees with %d of %d facts", server, len(all)-len(differ), len(all))
}

// checkAll returns what each fact comes to. A fact mostly waits, for a lease of a second or for nothing
// to arrive, so that many are checked at a time.
func checkAll(t *testing.T, endpoint string, all []fact) []error {
	t.Helper()
	found := make([]error, len(all))
	turns := make(chan struct{}, 16)
	var wg sync.WaitGroup
	for i, f := range all {
		k := newConformance(t, endpoint)
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			found[i] = k.try(f)
		})
	}
	wg.Wait()
	return found
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
