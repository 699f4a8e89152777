package localaws_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/stationmaster/worker/localaws"
)

// TestNastyFiltersTakeEffectLate: aws-semantics §1.2 step 9 and §1.8. A new policy lets everything
// through for a while, a changed one is preceded by the old one, and reads tell nothing of it.
func TestNastyFiltersTakeEffectLate(t *testing.T) {
	late := 0
	for seed := range uint64(5) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newSNSKitWith(t, localaws.Options{Nasty: localaws.Nasty{Seed: seed, FilterDelay: 15 * time.Minute}})
				k.topic(t, nil)
				url := k.open(t, "q")
				filter := func(kind string) string { return `{"kind":["` + kind + `"]}` }
				arn := k.subscribe(t, "q", map[string]string{"RawMessageDelivery": "true", "FilterPolicy": filter("a")})
				// passes publishes a message of each kind every minute, and returns in which each arrived.
				passes := func() (a, b [16]bool) {
					for minute := range 16 {
						for _, kind := range []string{"a", "b"} {
							k.publish(t, attributed(kind))
						}
						for _, m := range k.receive(t, url) {
							a[minute], b[minute] = a[minute] || *m.Body == "a", b[minute] || *m.Body == "b"
							k.delete(t, url, m)
						}
						<-time.After(time.Minute)
					}
					return a, b
				}
				a, b := passes()
				for i := range a {
					if !a[i] || i > 0 && b[i] && !b[i-1] || b[15] {
						t.Errorf("a new policy: minute %d: %v %v", i, a, b)
					}
				}
				if b[0] {
					late++
				}
				if _, err := k.sns.SetSubscriptionAttributes(t.Context(), &sns.SetSubscriptionAttributesInput{SubscriptionArn: &arn, AttributeName: aws.String("FilterPolicy"), AttributeValue: aws.String(filter("b"))}); err != nil {
					t.Fatal(err)
				}
				if got := k.attributes(t, arn)["FilterPolicy"]; got != filter("b") {
					t.Errorf("it reads %s", got)
				}
				a, b = passes()
				for i := range a {
					if a[i] == b[i] || i > 0 && a[i] && !a[i-1] || a[15] {
						t.Errorf("a changed policy: minute %d: %v %v", i, a, b)
					}
				}
			})
		})
	}
	if late == 0 {
		t.Error("no filter was late")
	}
}

// attributed is a message that is its own attribute kind.
func attributed(kind string) *sns.PublishInput {
	return &sns.PublishInput{Message: &kind, MessageAttributes: attributesOf("kind", kind)}
}
