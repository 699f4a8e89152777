package topology_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/topology"
)

func errandLines(all []topology.Errand) []string {
	lines := []string{}
	for _, e := range all {
		lines = append(lines, e.For+": "+e.What)
	}
	return lines
}

func TestWhatOthersHaveToDoIsPrintedAsTheyHaveToDoIt(t *testing.T) {
	want := everything()
	want.Topics = append(want.Topics, topology.Topic{Name: "theirs", ARN: "arn:aws:sns:us-east-1:111122223333:theirs", Unmanaged: true})
	want.Queues = append(want.Queues, topology.Queue{Name: "away", ARN: "arn:aws:sqs:us-east-1:111122223333:away", Unmanaged: true})
	want.Subscriptions = append(want.Subscriptions,
		topology.Subscription{Topic: "news", Queue: "away"},
		topology.Subscription{Topic: "theirs", Queue: "email"})
	all := want.Errands(account)
	for i, says := range []string{
		"topic news: the role " + logRole + " has to trust sns.amazonaws.com, and to be allowed to write logs",
		"topic theirs: account 111122223333 has to let this account subscribe, by a statement in the topic's policy",
		"subscription news → http://example.com/x: whoever answers at http://example.com/x has to confirm",
		"subscription news → audit: the function has to let the topic invoke it",
		"subscription news → deliverystream/all: the role " + logRole,
		"subscription news → ops@example.com: somebody has to click",
		"subscription news → +4930123456: the account has to be out of the SMS sandbox",
		"subscription news → away: the queue's owner has to let the topic in",
		"key alias/mail: the key's policy has to let SNS use it",
	} {
		if i >= len(all) {
			t.Fatalf("there are only %v", errandLines(all))
		}
		if line := errandLines(all)[i]; !strings.HasPrefix(line, says) {
			t.Errorf("errand %d is %q, want %q", i, line, says)
		}
		if text := all[i].Statement; text != "" && !json.Valid([]byte(text)) {
			t.Errorf("the statement of %q is no JSON: %s", says, text)
		}
	}
	if key := all[len(all)-1].Statement; !strings.Contains(key, `"kms:GenerateDataKey*"`) || !strings.Contains(key, account.TopicARN("news")) || !strings.Contains(key, ":theirs") {
		t.Errorf("the key's statement is %s", key)
	}
}

// With the statement in its policy, and a confirmation, a queue of another account gets the messages; and
// what is done is no longer asked for.
func TestTheStatementForAnotherAccountLetsTheTopicIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		const other = "111122223333"
		them := awsapi.New(aws.Config{
			Region: account.Region, BaseEndpoint: aws.String("http://localaws.test"), HTTPClient: roundTripper{k.server.Transport()},
			Credentials: credentials.NewStaticCredentialsProvider(other, "secret", ""),
		}, awsapi.Options{})
		url, err := them.CreateQueue(t.Context(), "away", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		arn := "arn:aws:sqs:us-east-1:" + other + ":away"
		want := topology.Topology{
			Topics:        []topology.Topic{{Name: "news"}},
			Subscriptions: []topology.Subscription{{Topic: "news", Queue: arn, Raw: true}},
		}
		all := want.Errands(account)
		if len(all) != 1 || all[0].Statement == "" {
			t.Fatalf("errands %v", errandLines(all))
		}
		policy := `{"Version":"2012-10-17","Statement":[` + all[0].Statement + `]}`
		if err := them.SetQueueAttributes(t.Context(), url, map[string]string{"Policy": policy}); err != nil {
			t.Fatal(err)
		}
		_, err = want.Apply(t.Context(), k, account, nil)
		if err == nil || !strings.Contains(err.Error(), "SNS has sent a SubscriptionConfirmation into the queue, and its owner has to confirm it") {
			t.Errorf("error %v", err)
		}
		if len(k.lost()) > 0 {
			t.Errorf("lost %+v: the statement does not let SNS in", k.lost())
		}
		got, err := them.Queue(url, awsapi.QueueOptions{}).Receive(t.Context(), 10, 0)
		if err != nil || len(got) != 1 || !strings.Contains(got[0].Body, "SubscriptionConfirmation") {
			t.Errorf("arrived %v, %v", got, err)
		}
	})
}

// A queue that is not managed here, and whose policy can be read, is asked for its statement until it
// has one.
func TestWhatIsDoneIsNotAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.make(t, "theirs", nil)
		want := topology.Topology{
			Topics:        []topology.Topic{{Name: "news"}},
			Queues:        []topology.Queue{{Name: "theirs", Unmanaged: true}},
			Subscriptions: []topology.Subscription{{Topic: "news", Queue: "theirs"}},
		}
		p := k.plan(t, want)
		if len(p.Errands) != 1 || slices.ContainsFunc(p.Changes, func(c topology.Change) bool { return c.Kind == "policy" }) {
			t.Fatalf("errands %v, changes %v", errandLines(p.Errands), p.Changes)
		}
		k.set(t, "theirs", map[string]string{"Policy": `{"Version":"2012-10-17","Statement":` + p.Errands[0].Statement + `}`})
		if p := k.plan(t, want); len(p.Errands) != 0 {
			t.Errorf("still asked for: %v", errandLines(p.Errands))
		}
		k.apply(t, want)
		if _, err := k.Publish(t.Context(), account.TopicARN("news"), message("x")); err != nil {
			t.Fatal(err)
		}
		if got := k.received(t, "theirs"); len(got) != 1 || len(k.lost()) != 0 {
			t.Errorf("arrived %v, lost %v", got, k.lost())
		}
	})
}

// A queue that changes its encryption is never without one, and what is not said is left alone.
func TestEncryptionIsChangedAndNeverLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		with := func(attributes map[string]string) topology.Topology {
			return topology.Topology{Queues: []topology.Queue{{Name: "q", DLQ: "q-dlq", MaxReceiveCount: 5, Attributes: attributes}}}
		}
		key, mine := map[string]string{"KmsMasterKeyId": "alias/k"}, map[string]string{"SqsManagedSseEnabled": "true"}
		for i, step := range []struct{ wanted, has map[string]string }{
			{nil, map[string]string{"SqsManagedSseEnabled": "true", "KmsMasterKeyId": ""}},
			{key, map[string]string{"SqsManagedSseEnabled": "false", "KmsMasterKeyId": "alias/k"}},
			{nil, map[string]string{"SqsManagedSseEnabled": "false", "KmsMasterKeyId": "alias/k"}},
			{mine, map[string]string{"SqsManagedSseEnabled": "true", "KmsMasterKeyId": ""}},
			{key, map[string]string{"SqsManagedSseEnabled": "false", "KmsMasterKeyId": "alias/k"}},
		} {
			k.apply(t, with(step.wanted))
			k.took()
			k.apply(t, with(step.wanted))
			if calls := k.took(); len(calls) > 0 {
				t.Errorf("step %d: the second run wrote %v", i, texts(calls))
			}
			for _, name := range []string{"q", "q-dlq"} {
				have := k.state(t, []string{name})["queue "+name]
				for attribute, value := range step.has {
					if have[attribute] != value {
						t.Errorf("step %d: %s of %s is %q, want %q", i, attribute, name, have[attribute], value)
					}
				}
			}
		}
	})
}
