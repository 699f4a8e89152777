package ingress_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/queue"
)

// TestADeliveryThatCannotWaitIsADeadLetter: SNS's own tries would end long before the delay does.
func TestADeliveryThatCannotWaitIsADeadLetter(t *testing.T) {
	for delay, dead := range map[time.Duration]int{2 * time.Hour: 1, -time.Hour: 0, time.Second / 2: 0} {
		t.Run(delay.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				k := newKit(t)
				k.subscribe()
				text := fmt.Sprintf(`{"id":"job-1","not_before":%q}`, time.Now().Add(delay).UTC().Format(time.RFC3339Nano))
				_, err := k.sns.Publish(t.Context(), &sns.PublishInput{
					TopicArn: aws.String(topicARN), Message: aws.String(`{}`),
					MessageAttributes: map[string]types.MessageAttributeValue{
						queue.StationmasterAttribute: {DataType: aws.String("String"), StringValue: &text},
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				got := k.received(k.failed())
				if len(got) != dead || k.job.runs() != 1-dead {
					t.Fatalf("%d dead letters after %d runs, want %d and %d", len(got), k.job.runs(), dead, 1-dead)
				}
				if dead == 0 {
					return
				}
				record, _ := deadletter.Read(&got[0].Message)
				if record.Class != "delay_over_http" || record.ID != "job-1" || record.Job != "audit" {
					t.Errorf("record %+v", record)
				}
				if at := queue.NotBefore(&got[0]); !at.IsZero() {
					t.Errorf("a replay would wait until %v", at)
				}
			})
		})
	}
}
