package awsapi_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

// subscribed makes topics with n subscriptions in all, of queues; every third one fails to the queue.
func subscribed(t *testing.T, c *awsapi.Client, dlq string, n int) (want []awsapi.Subscription) {
	t.Helper()
	for i := range n {
		topic, err := c.CreateTopic(t.Context(), fmt.Sprintf("topic-%d", i%2), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, arn := made(t, c, fmt.Sprintf("q-%03d", i), nil)
		attributes := map[string]string{"RawMessageDelivery": "true"}
		if i%3 == 0 {
			attributes["RedrivePolicy"] = fmt.Sprintf(`{"deadLetterTargetArn":%q}`, dlq)
		}
		at, err := c.Subscribe(t.Context(), topic, "sqs", arn, attributes)
		if err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 {
			want = append(want, awsapi.Subscription{ARN: at, TopicARN: topic, Protocol: "sqs", Endpoint: arn, Raw: true})
		}
	}
	return want
}

var byARN = cmpopts.SortSlices(func(a, b awsapi.Subscription) bool { return a.ARN < b.ARN })

func TestSubscriptionsFailingToAQueueAreFoundOnEveryPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, c := local(t)
		_, dlq := made(t, c, "undelivered", nil)
		want := subscribed(t, c, dlq, 130) // a page has a hundred
		pages, reads := faulty(server, "ListSubscriptions", nil), faulty(server, "GetSubscriptionAttributes", nil)
		got, whole, err := c.SubscriptionsFailingTo(t.Context(), dlq, 1000)
		if err != nil || !whole {
			t.Fatal(whole, err)
		}
		if diff := cmp.Diff(want, got, byARN); diff != "" {
			t.Error(diff)
		}
		if pages.Load() != 2 || reads.Load() != 130 {
			t.Errorf("%d pages, %d reads", pages.Load(), reads.Load())
		}
		got, whole, err = c.SubscriptionsFailingTo(t.Context(), dlq, 5)
		if err != nil || whole || len(got) > 5 {
			t.Errorf("of five: %d found, whole %t, %v", len(got), whole, err)
		}
		if n := reads.Load(); n != 135 {
			t.Errorf("%d reads, want 5 more", n-130)
		}
	})
}

func TestSubscriptionsThatCannotBeRead(t *testing.T) {
	for name, row := range map[string]struct {
		fault localaws.Fault
		whole bool
		fails bool
	}{
		"gone meanwhile": {localaws.Fault{Status: 404, Code: "NotFound"}, true, false},
		"denied":         {localaws.Fault{Status: 403, Code: "AuthorizationError"}, false, false},
		"broken":         {localaws.Fault{Status: 500, Code: "InternalError"}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, c := local(t)
				_, dlq := made(t, c, "undelivered", nil)
				want := subscribed(t, c, dlq, 10)
				bad := want[0].ARN
				server.Control("GetSubscriptionAttributes", func(r *localaws.Request) *localaws.Fault {
					if r.Target == bad {
						return &row.fault
					}
					return nil
				})
				got, whole, err := c.SubscriptionsFailingTo(t.Context(), dlq, 1000)
				if (err != nil) != row.fails || whole != row.whole {
					t.Fatalf("whole %t, %v", whole, err)
				}
				if row.fails {
					return
				}
				if diff := cmp.Diff(want[1:], got, byARN); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
	server, c := local(t)
	_, dlq := made(t, c, "undelivered", nil)
	faulty(server, "ListSubscriptions", &localaws.Fault{Status: 403, Code: "AuthorizationError"})
	if _, _, err := c.SubscriptionsFailingTo(t.Context(), dlq, 10); !errors.Is(err, queue.ErrDenied) {
		t.Errorf("a caller who may not list: %v", err)
	}
}
