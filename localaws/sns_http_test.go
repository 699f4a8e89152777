package localaws_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/localaws"
)

const snsURL = "http://jobs.test/sns"

// await waits until everything stands still, and takes the one request that was made by then.
func await(t *testing.T, e *endpoint) posted {
	t.Helper()
	synctest.Wait()
	got := e.taken()
	if len(got) != 1 {
		t.Fatalf("%d requests: %+v", len(got), got)
	}
	return got[0]
}

// headers are those that SNS sets, and nothing else.
func headers(kind, id string, more ...string) http.Header {
	h := http.Header{
		"Content-Type": {"text/plain; charset=UTF-8"}, "User-Agent": {"Amazon Simple Notification Service Agent"}, "Accept-Encoding": {"gzip,deflate"},
		"X-Amz-Sns-Message-Type": {kind}, "X-Amz-Sns-Message-Id": {id}, "X-Amz-Sns-Topic-Arn": {snsTopicARN},
	}
	for i := 0; i < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

// TestASubscribedURLIsAskedToConfirm: aws-semantics §3, headers and body as recorded.
func TestASubscribedURLIsAskedToConfirm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e := newEndpointKit(t)
		k.topic(t, nil)
		if _, err := k.trySubscribe(t, "http", snsURL, map[string]string{"DeliveryPolicy": `{"requestPolicy":{"headerContentType":"application/json"}}`}); err != nil {
			t.Fatal(err)
		}
		got := await(t, e)
		m := got.fields(t)
		// The confirmation is plain text whatever the delivery policy says.
		if diff := cmp.Diff(headers("SubscriptionConfirmation", m["MessageId"]), got.header); diff != "" {
			t.Error(diff)
		}
		k.verify(t, got.body)
		if len(m["Token"]) != 288 || strings.Trim(m["Token"], "0123456789abcdef") != "" {
			t.Errorf("token %s", m["Token"])
		}
		var names []string
		for line := range strings.SplitSeq(got.body, "\n") {
			if name, _, found := strings.Cut(line, `" : "`); found {
				names = append(names, strings.TrimLeft(name, ` "`))
			}
		}
		if diff := cmp.Diff([]string{"Type", "MessageId", "Token", "TopicArn", "Message", "SubscribeURL", "Timestamp", "SignatureVersion", "Signature", "SigningCertURL"}, names); diff != "" {
			t.Error(diff)
		}
		want := map[string]string{
			"Type": "SubscriptionConfirmation", "TopicArn": snsTopicARN, "SignatureVersion": "1",
			"Timestamp":    time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
			"Message":      "You have chosen to subscribe to the topic " + snsTopicARN + ".\nTo confirm the subscription, visit the SubscribeURL included in this message.",
			"SubscribeURL": "http://localaws.test/?Action=ConfirmSubscription&TopicArn=" + snsTopicARN + "&Token=" + m["Token"],
		}
		for name, value := range want {
			if m[name] != value {
				t.Errorf("%s = %q, want %q", name, m[name], value)
			}
		}
	})
}

// TestNotificationsToAURL: aws-semantics §3 and §4.1, with either signature version.
func TestNotificationsToAURL(t *testing.T) {
	for _, version := range []string{"1", "2"} {
		t.Run("signature version "+version, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, e := newEndpointKit(t)
				k.topic(t, map[string]string{"SignatureVersion": version})
				sub := k.confirmed(t, e, snsURL, nil)
				for _, subject := range []*string{nil, aws.String("Grüße")} {
					id := k.publish(t, &sns.PublishInput{
						Message: aws.String("<b>\u2028 & \"more\""), Subject: subject, MessageGroupId: aws.String("tenant"),
						MessageAttributes: map[string]snstypes.MessageAttributeValue{"a": snsText("String", `"Signature" : "`)},
					})
					got := await(t, e)
					if diff := cmp.Diff(headers("Notification", id, "X-Amz-Sns-Subscription-Arn", sub), got.header); diff != "" {
						t.Error(diff)
					}
					m := got.fields(t)
					if m["Message"] != "<b>\u2028 & \"more\"" || m["Subject"] != aws.ToString(subject) || m["SignatureVersion"] != version ||
						m["UnsubscribeURL"] != "http://localaws.test/?Action=Unsubscribe&SubscriptionArn="+sub || !strings.Contains(got.body, `"MessageAttributes" : {"a":`) {
						t.Errorf("body %s", got.body)
					}
					k.verify(t, got.body)
				}
			})
		})
	}
}

// TestRawNotificationsAreTheMessageAndNothingElse: aws-semantics §3.
func TestRawNotificationsAreTheMessageAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e := newEndpointKit(t)
		k.topic(t, nil)
		sub := k.confirmed(t, e, "http://user:secret@jobs.test/sns", map[string]string{
			"RawMessageDelivery": "true", "DeliveryPolicy": `{"requestPolicy":{"headerContentType":"text/csv"}}`,
		})
		id := k.publish(t, &sns.PublishInput{Message: aws.String("a,b"), MessageAttributes: map[string]snstypes.MessageAttributeValue{"n": snsText("String", "x")}})
		got := await(t, e)
		want := headers("Notification", id, "X-Amz-Sns-Subscription-Arn", sub, "X-Amz-Sns-Rawdelivery", "true", "Content-Type", "text/csv", "Authorization", "Basic dXNlcjpzZWNyZXQ=")
		if diff := cmp.Diff(want, got.header); diff != "" || got.body != "a,b" {
			t.Errorf("%q %s", got.body, diff)
		}
	})
}

// TestEachProtocolGetsItsOwnMessage: MessageStructure=json, aws-semantics §4.1.
func TestEachProtocolGetsItsOwnMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e := newEndpointKit(t)
		k.topic(t, nil)
		k.confirmed(t, e, snsURL, nil)
		url := k.open(t, "q")
		k.subscribe(t, "q", nil)
		k.publish(t, &sns.PublishInput{Message: aws.String(`{"default":"d","http":"for URLs","sqs":"for queues"}`), MessageStructure: aws.String("json")})
		got := await(t, e)
		if m := got.fields(t); m["Message"] != "for URLs" {
			t.Errorf("URL: %s", got.body)
		}
		k.verify(t, got.body)
		body := *k.receive(t, url)[0].Body
		if !strings.Contains(body, `"Message" : "for queues"`) {
			t.Errorf("queue: %s", body)
		}
		k.verify(t, body)
	})
}

// TestRetriesFollowTheDeliveryPolicy: all four phases, then the dead-letter queue gets the message
// unchanged; aws-semantics §3 and §4.1.
func TestRetriesFollowTheDeliveryPolicy(t *testing.T) {
	standard := []float64{20, 20, 20}
	for _, tt := range []struct {
		name, topic, subscription string
		want                      []float64
	}{
		{"AWS's own", "", "", standard},
		{"phases", "", `{"healthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":9,"numRetries":8,"numNoDelayRetries":2,"numMinDelayRetries":1,"numMaxDelayRetries":2}}`, []float64{0, 0, 1, 1, 5, 9, 9, 9}},
		{"the topic's", `{"http":{"defaultHealthyRetryPolicy":{"numRetries":1,"minDelayTarget":2}}}`, "", []float64{2}},
		{"the subscription's over the topic's", `{"http":{"defaultHealthyRetryPolicy":{"numRetries":1}}}`, `{"healthyRetryPolicy":{"numRetries":2,"minDelayTarget":3,"maxDelayTarget":4}}`, []float64{3, 4}},
		{"the topic forbids it", `{"http":{"defaultHealthyRetryPolicy":{"numRetries":1},"disableSubscriptionOverrides":true}}`, `{"healthyRetryPolicy":{"numRetries":2}}`, []float64{20}},
		{"none", "", `{"healthyRetryPolicy":{"numRetries":0}}`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, e := newEndpointKit(t)
				attributes := map[string]string{}
				if tt.topic != "" {
					attributes["DeliveryPolicy"] = tt.topic
				}
				k.topic(t, attributes)
				dlq := k.open(t, "dlq")
				with := map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + snsQueueARN("dlq") + `"}`}
				if tt.subscription != "" {
					with["DeliveryPolicy"] = tt.subscription
				}
				k.confirmed(t, e, snsURL, with)
				e.always(http.StatusInternalServerError)
				k.publish(t, &sns.PublishInput{Message: aws.String("m")})
				<-time.After(time.Hour)
				got := e.taken()
				var delays []float64
				for i := 1; i < len(got); i++ {
					delays = append(delays, got[i].at.Sub(got[i-1].at).Seconds())
					if got[i].body != got[0].body || cmp.Diff(got[0].header, got[i].header) != "" {
						t.Errorf("attempt %d differs: %+v", i+1, got[i])
					}
				}
				if diff := cmp.Diff(tt.want, delays); diff != "" {
					t.Error(diff)
				}
				letters := k.receive(t, dlq)
				if len(letters) != 1 || *letters[0].Body != got[0].body || len(k.dropped()) > 0 {
					t.Errorf("dead letters %+v", letters)
				}
			})
		})
	}
}

// TestWhatAnAnswerMeans: aws-semantics §3, response rules, and §8 item 4 for 300 to 499.
func TestWhatAnAnswerMeans(t *testing.T) {
	broken := errors.New("connection reset")
	for _, tt := range []struct {
		name     string
		status   int
		err      error
		attempts int
		dead     int
		dropped  string
	}{
		{"200 is delivered", 200, nil, 1, 0, ""},
		{"204 is delivered", 204, nil, 1, 0, ""},
		{"302 is not followed, not retried and gone", 302, nil, 1, 0, "the endpoint answered 302: that is no failure to SNS, which does not try again"},
		{"404 is not retried and gone", 404, nil, 1, 0, "the endpoint answered 404: that is no failure to SNS, which does not try again"},
		{"429 is not retried and gone", 429, nil, 1, 0, "the endpoint answered 429: that is no failure to SNS, which does not try again"},
		{"500 is retried", 500, nil, 4, 1, ""},
		{"600 is retried", 600, nil, 4, 1, ""},
		{"no answer is retried", 0, broken, 4, 1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, e := newEndpointKit(t)
				k.topic(t, nil)
				dlq := k.open(t, "dlq")
				sub := k.confirmed(t, e, snsURL, map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + snsQueueARN("dlq") + `"}`})
				e.answer = func(int, *http.Request) (int, error) { return tt.status, tt.err }
				id := k.publish(t, &sns.PublishInput{Message: aws.String("m")})
				<-time.After(time.Hour)
				if n, dead := len(e.taken()), len(k.receive(t, dlq)); n != tt.attempts || dead != tt.dead {
					t.Errorf("%d attempts, %d dead letters", n, dead)
				}
				var want []localaws.Drop
				if tt.dropped != "" {
					want = []localaws.Drop{{Reason: tt.dropped, TopicARN: snsTopicARN, SubscriptionARN: sub, Endpoint: snsURL, MessageID: id}}
				}
				if diff := cmp.Diff(want, k.dropped()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// TestAnEndpointHasFifteenSeconds: aws-semantics §3. Without a dead-letter queue the message is lost.
func TestAnEndpointHasFifteenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e := newEndpointKit(t)
		k.topic(t, nil)
		sub := k.confirmed(t, e, snsURL, map[string]string{"DeliveryPolicy": `{"healthyRetryPolicy":{"numRetries":1,"minDelayTarget":5}}`})
		e.answer = func(n int, r *http.Request) (int, error) {
			<-r.Context().Done()
			return 0, r.Context().Err()
		}
		start := time.Now()
		id := k.publish(t, &sns.PublishInput{Message: aws.String("m")})
		<-time.After(time.Hour)
		got := e.taken()
		if len(got) != 2 || got[1].at.Sub(start) != 20*time.Second {
			t.Fatalf("%d attempts, the last after %v", len(got), got[len(got)-1].at.Sub(start))
		}
		want := []localaws.Drop{{
			Reason:   "post to " + snsURL + ": context deadline exceeded, attempt 2 of 2",
			TopicARN: snsTopicARN, SubscriptionARN: sub, Endpoint: snsURL, MessageID: id,
		}}
		if diff := cmp.Diff(want, k.dropped()); diff != "" {
			t.Error(diff)
		}
	})
}

// TestRetriesEndAfterAnHour: aws-semantics §3. Slow answers count too.
func TestRetriesEndAfterAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e := newEndpointKit(t)
		k.topic(t, nil)
		k.confirmed(t, e, snsURL, map[string]string{"DeliveryPolicy": `{"healthyRetryPolicy":{"numRetries":100,"minDelayTarget":36,"maxDelayTarget":36}}`})
		e.answer = func(n int, r *http.Request) (int, error) {
			<-r.Context().Done()
			return 0, r.Context().Err()
		}
		start := time.Now()
		k.publish(t, &sns.PublishInput{Message: aws.String("m")})
		<-time.After(3 * time.Hour)
		got := e.taken()
		if last := got[len(got)-1].at.Sub(start); len(got) != 71 || last > time.Hour {
			t.Errorf("%d attempts, the last after %v", len(got), last)
		}
	})
}

// TestThrottlePolicySpreadsRequests: aws-semantics §3. Nobody but the endpoint sees the backlog.
func TestThrottlePolicySpreadsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e := newEndpointKit(t)
		k.topic(t, nil)
		k.confirmed(t, e, snsURL, map[string]string{"DeliveryPolicy": `{"throttlePolicy":{"maxReceivesPerSecond":2}}`})
		<-time.After(time.Second) // the confirmation was a request too
		start := time.Now()
		for range 5 {
			k.publish(t, &sns.PublishInput{Message: aws.String("m")})
		}
		<-time.After(time.Minute)
		var at []float64
		for _, r := range e.taken() {
			at = append(at, r.at.Sub(start).Seconds())
		}
		if diff := cmp.Diff([]float64{0, 0.5, 1, 1.5, 2}, at); diff != "" {
			t.Error(diff)
		}
	})
}

// TestCloseStopsWhatIsUnderWay: requests and retries end, and nobody waits for them.
func TestCloseStopsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e := newEndpointKit(t)
		k.topic(t, nil)
		k.confirmed(t, e, snsURL, nil)
		e.answer = func(n int, r *http.Request) (int, error) {
			if n == 1 {
				return http.StatusBadGateway, nil
			}
			<-r.Context().Done()
			return 0, r.Context().Err()
		}
		k.publish(t, &sns.PublishInput{Message: aws.String("waits for its retry")})
		synctest.Wait()
		k.publish(t, &sns.PublishInput{Message: aws.String("waits for an answer")})
		synctest.Wait()
		start := time.Now()
		if err := k.Close(); err != nil || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		k.publish(t, &sns.PublishInput{Message: aws.String("too late")})
		<-time.After(time.Hour)
		if n := len(e.taken()); n != 2 {
			t.Errorf("%d requests", n)
		}
	})
}

// TestWithoutDeliverOnlyLoopbackIsReached: over real sockets; a refused endpoint is a failed delivery.
func TestWithoutDeliverOnlyLoopbackIsReached(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	arrived := make(chan string, 1)
	here := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		arrived <- fmt.Sprintln(r.Header.Get("X-Amz-Sns-Message-Type"), len(body) > 0, err)
	}))
	defer here.Close()
	lost := make(chan localaws.Drop, 1)
	k.Dropped(func(d localaws.Drop) { lost <- d })
	if _, err := k.trySubscribe(t, "http", here.URL, nil); err != nil {
		t.Fatal(err)
	}
	if got := <-arrived; got != "SubscriptionConfirmation true <nil>\n" {
		t.Errorf("arrived: %s", got)
	}
	if _, err := k.trySubscribe(t, "http", "http://192.0.2.1/", nil); err != nil {
		t.Fatal(err)
	}
	if d := <-lost; !strings.Contains(d.Reason, "localaws posts to loopback addresses only") || d.Endpoint != "http://192.0.2.1/" {
		t.Errorf("lost: %+v", d)
	}
}
