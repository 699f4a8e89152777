package ingress_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/ingress"
)

func TestASubscriptionIsConfirmedAttachedAndProved(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		k := newKit(t)
		arn := k.subscribe()
		if diff := cmp.Diff([]string{"subscription confirmed", "subscription attached: RedrivePolicy,DeliveryPolicy"}, k.seen.told()); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff([]int{200}, k.answers()); diff != "" {
			t.Error(diff)
		}
		have, err := k.api.SubscriptionAttributes(t.Context(), arn)
		if err != nil {
			t.Fatal(err)
		}
		if have["PendingConfirmation"] != "false" || have["ConfirmationWasAuthenticated"] != "true" || !strings.Contains(have["RedrivePolicy"], ":failed") ||
			!strings.Contains(have["DeliveryPolicy"], `"numRetries":4`) {
			t.Errorf("attributes %v", have)
		}
		id := k.publish(`{"event":"user_invited"}`)
		synctest.Wait()
		if k.job.runs() != 1 {
			t.Fatalf("%d runs", k.job.runs())
		}
		if got := k.job.got[0]; got.ID != id || got.Topic != "invitations" || got.Subject != "hello" || got.Queue != "/hooks/audit" || got.Raw != `{"event":"user_invited"}` || got.Attempt != 1 {
			t.Errorf("info %+v", got)
		}
	})
}

// TestARerunAsksForANewToken: the first token came while nobody could use it.
func TestARerunAsksForANewToken(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		k := newKit(t)
		k.api.confirm = func(string, string) (string, error) { return "", errors.New("no network") }
		k.subscribe()
		if diff := cmp.Diff([]int{503}, k.answers()); diff != "" {
			t.Error(diff)
		}
		pass(time.Hour) // SNS gives up
		k.api.confirm = nil
		k.answers()
		k.subscribe()
		if diff := cmp.Diff([]int{200}, k.answers()); diff != "" {
			t.Error(diff)
		}
	})
}

// TestAFailedAttachIsTriedAgain: it must not stay without its net because one call failed.
func TestAFailedAttachIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		failing := &once{}
		k := newKit(t, func(o *ingress.Options) { failing.Subscriptions = o.SNS; o.SNS = failing })
		k.subscribe()
		pass(time.Minute)
		want := []string{
			"subscription confirmed", "subscription not attached",
			"subscription confirmed", "subscription attached: RedrivePolicy,DeliveryPolicy",
		}
		if diff := cmp.Diff(want, k.seen.told()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]int{503, 200}, k.answers()); diff != "" {
			t.Error(diff)
		}
	})
}

// TestATokenOfAForeignTopic: what is signed names our topic, and SNS confirms another all the same.
func TestATokenOfAForeignTopic(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		k := newKit(t)
		if _, err := k.api.CreateTopic(t.Context(), "theirs", nil, nil); err != nil {
			t.Fatal(err)
		}
		theirs, err := k.api.Subscribe(t.Context(), strings.Replace(topicARN, "invitations", "theirs", 1), "sqs", "arn:aws:sqs:us-east-1:000000000000:failed", nil)
		if err != nil {
			t.Fatal(err)
		}
		k.api.confirm = func(string, string) (string, error) { return theirs, nil }
		k.subscribe()
		e := k.seen.event(0)
		if e.What != ingress.Foreign || e.SubscriptionARN != theirs || e.Err == nil {
			t.Errorf("event %+v", e)
		}
		if diff := cmp.Diff([]string{theirs}, k.api.ended); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]int{403}, k.answers()); diff != "" {
			t.Error(diff)
		}
		if _, err := k.api.SubscriptionAttributes(t.Context(), theirs); err == nil {
			t.Error("it is still there")
		}
		if _, err := ingress.New(ingress.Options{MaxBody: 2 << 20}); err == nil {
			t.Error("any body fits")
		}
	})
}

// TestAnEndedSubscription: said loudly, and subscribed again where that is wanted.
func TestAnEndedSubscription(t *testing.T) {
	for _, again := range []bool{false, true} {
		inBubble(t, func(t *testing.T) {
			k := newKit(t, func(o *ingress.Options) { o.Paths[0].Topics[0].Resubscribe = again })
			// Somebody confirmed it by its URL: so anybody can end it.
			k.api.confirm = func(string, string) (string, error) { return "", errors.New("not now") }
			arn := k.subscribe()
			k.anonymously(k.field("SubscribeURL"))
			pass(time.Hour)
			k.api.confirm = nil
			k.anonymously(endpoint + "/?Action=Unsubscribe&SubscriptionArn=" + arn)
			synctest.Wait()
			want := []string{"subscription ended"}
			if again {
				want = append(want, "subscribed again", "subscription confirmed", "subscription attached")
			}
			told := k.seen.told()
			slices.Sort(told) // the answer to Subscribe and the new token cross each other
			slices.Sort(want)
			if diff := cmp.Diff(want, told); diff != "" {
				t.Errorf("again %v: %s", again, diff)
			}
			k.publish(`{}`)
			synctest.Wait()
			if got := k.job.runs() == 1; got != again {
				t.Errorf("again %v: delivered %v", again, got)
			}
		})
	}
}

// once fails to set attributes once.
type once struct {
	ingress.Subscriptions
	failed bool
}

func (o *once) SetSubscriptionAttribute(ctx context.Context, arn, name, to string) error {
	if !o.failed {
		o.failed = true
		return errors.New("throttled")
	}
	return o.Subscriptions.SetSubscriptionAttribute(ctx, arn, name, to)
}
