package topology_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	elsewhere "github.com/stationmaster/worker/internal/theirs"
	"github.com/stationmaster/worker/localaws"
)

// other is the server of somebody else while TestLocalStack runs, and nil for the embedded one.
var other *elsewhere.Server

// world runs a test where time passes at once; on the server of somebody else it passes as it does.
func world(t *testing.T, test func(*testing.T)) {
	t.Helper()
	if other == nil {
		synctest.Test(t, test)
		return
	}
	test(t)
}

// What LocalStack does otherwise: rows of DIFFERENCES.md.
const (
	standardTwice = "a FIFO topic sends a message only once to a standard queue"
	pendingARN    = "a pending subscription of others is listed without its ARN"
	asksAgain     = "Subscribe sends a new token again to an endpoint that has not confirmed"
	emptied       = "a filter that is set to {} does not show"
	removal       = "the RedrivePolicy of a subscription can be removed"
)

// nowhere is an endpoint that nobody answers for, on this machine.
const nowhere = "https://127.0.0.1:9/hook"

// last is what a recorded call says of an endpoint.
func last(endpoint string) string { return endpoint[strings.LastIndexByte(endpoint, ':')+1:] }

// await waits until so many messages are in a queue: a FIFO queue hands out no more of a group until
// those that came before are settled.
func (k *kit) await(t *testing.T, name string, n int) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		c, err := k.QueueCounts(t.Context(), k.url(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if c.Visible >= int64(n) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s has %d messages after 20 s, want %d", name, c.Visible, n)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// spread is how long AWS takes until a new policy is known everywhere.
func spread() time.Duration {
	if other != nil {
		return 0
	}
	return time.Minute
}

// confirmWithin is how long endpoints have to confirm.
func confirmWithin() time.Duration {
	if other != nil {
		return 2 * time.Second
	}
	return 10 * time.Second
}

// recorder is the way to the server of somebody else, and notes what changes something there.
type recorder struct {
	k *kit
	t *testing.T
}

func (r recorder) Do(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	seen := &localaws.Request{Service: "sns", Body: body}
	if target := request.Header.Get("X-Amz-Target"); target != "" {
		seen.Service = "sqs"
		_, seen.Action, _ = strings.Cut(target, ".")
		var in struct{ QueueUrl string }
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
		seen.Target = in.QueueUrl
	} else {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, err
		}
		seen.Action, seen.Target = form.Get("Action"), form.Get("TopicArn")+form.Get("SubscriptionArn")+form.Get("ResourceArn")
	}
	if c, writes := read(r.t, seen); writes {
		c.after = time.Since(r.k.began)
		r.k.mu.Lock()
		r.k.calls = append(r.k.calls, c)
		r.k.mu.Unlock()
	}
	return http.DefaultClient.Do(request)
}

// TestLocalStack runs what Apply, Plan, Observe and Prune are about on the server that the environment
// names. The tests begin with nothing there, so each empties the server: it must be ours.
func TestLocalStack(t *testing.T) {
	other = elsewhere.Open(t, "topology")
	t.Cleanup(func() { other = nil })
	k := newKit(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"TestApplyAgainChangesNothing", TestApplyAgainChangesNothing},
		{"TestOnlyASubscriptionIsWorthAMinute", TestOnlyASubscriptionIsWorthAMinute},
		{"TestAFIFOLineIsLaidAndKeepsItsOrder", TestAFIFOLineIsLaidAndKeepsItsOrder},
		{"TestWhatAFIFOTopicCannotDeliverIsKeptInOrder", TestWhatAFIFOTopicCannotDeliverIsKeptInOrder},
		{"TestDeduplicationByContentCanBeTurnedOnAndOff", TestDeduplicationByContentCanBeTurnedOnAndOff},
		{"TestObserveReadsEverythingBack", TestObserveReadsEverythingBack},
		{"TestEveryProtocolIsSubscribedWithAllItsAttributesInOneCall", TestEveryProtocolIsSubscribedWithAllItsAttributesInOneCall},
		{"TestTheSecondApplyWritesNothing", TestTheSecondApplyWritesNothing},
		{"TestThePlanIsWhatApplyDoes", TestThePlanIsWhatApplyDoes},
		{"TestAnHTTPEndpointIsWaitedForAndAskedAgain", TestAnHTTPEndpointIsWaitedForAndAskedAgain},
		{"TestPruneShowsWhatItHoldsAndDeletesInTheReverseOrder", TestPruneShowsWhatItHoldsAndDeletesInTheReverseOrder},
		{"TestWithoutAnOwnerNoQueueAndNoTopicIsUnwanted", TestWithoutAnOwnerNoQueueAndNoTopicIsUnwanted},
		{"TestAQueueThatStillServesIsKept", TestAQueueThatStillServesIsKept},
		{"TestWhatComesAfterItWasShownIsNotDeleted", TestWhatComesAfterItWasShownIsNotDeleted},
		{"TestAQueueThatDiffersIsSetAndNotMadeAgain", TestAQueueThatDiffersIsSetAndNotMadeAgain},
		{"TestAQueueWithoutADLQLosesItsRedrivePolicyAndADLQKeepsItsOwn", TestAQueueWithoutADLQLosesItsRedrivePolicyAndADLQKeepsItsOwn},
		{"TestStatementsOfOthersStayByteForByte", TestStatementsOfOthersStayByteForByte},
		{"TestADenyOfOthersIsToldBeforeAnythingIsSubscribed", TestADenyOfOthersIsToldBeforeAnythingIsSubscribed},
		{"TestQueuesAndTopicsOfOthersAreFoundAndNotTouched", TestQueuesAndTopicsOfOthersAreFoundAndNotTouched},
		{"TestOurOwnQueueIsLetInHoweverItIsSpelled", TestOurOwnQueueIsLetInHoweverItIsSpelled},
		{"TestWhatCannotBeDeliveredIsKept", TestWhatCannotBeDeliveredIsKept},
		{"TestASubscriptionThatDiffersIsSetInTheRightOrder", TestASubscriptionThatDiffersIsSetInTheRightOrder},
	} {
		t.Run(test.name, test.run)
	}
	other.Empty(t, k.Client)
}
