package localaws_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
)

// stub answers a PublishBatch of ten as if it had done something.
var stub = `<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult><Successful>` +
	strings.Repeat(`<member><Id>0</Id><MessageId>11111111-1111-4111-8111-111111111111</MessageId></member>`, 10) +
	`</Successful><Failed></Failed></PublishBatchResult><ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></PublishBatchResponse>`

// BenchmarkPublishToThreeQueues publishes by batch of ten over loopback HTTP, in turns to this server
// and to a stub that does nothing, and reports how the rates compare.
func BenchmarkPublishToThreeQueues(b *testing.B) {
	k := newSNSKit(b)
	k.topic(b, nil)
	for i := range 3 {
		name := fmt.Sprint("q", i)
		k.open(b, name)
		k.subscribe(b, name, nil)
	}
	real := httptest.NewServer(k)
	defer real.Close()
	none := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // of a benchmark
		w.Header().Set("Content-Type", "text/xml")
		io.WriteString(w, stub) //nolint:errcheck // of a benchmark
	}))
	defer none.Close()
	var entries []snstypes.PublishBatchRequestEntry
	for i := range 10 {
		entries = append(entries, snstypes.PublishBatchRequestEntry{
			Id: aws.String(fmt.Sprint(i)), Message: aws.String(`{"user":"somebody@example.com","plan":"pro","amount":12345}`),
			MessageAttributes: map[string]snstypes.MessageAttributeValue{"event": snsText("String", "user_invited")},
		})
	}
	took := map[string]time.Duration{}
	publish := func(url string) {
		client := sns.New(sns.Options{Region: "us-east-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", "")})
		start := time.Now()
		for range 50 {
			if _, err := client.PublishBatch(b.Context(), &sns.PublishBatchInput{TopicArn: aws.String(snsTopicARN), PublishBatchRequestEntries: entries}); err != nil {
				b.Fatal(err)
			}
		}
		took[url] += time.Since(start)
	}
	for b.Loop() {
		publish(real.URL)
		publish(none.URL)
	}
	b.ReportMetric(float64(took[none.URL])/float64(took[real.URL]), "of-the-stub's-rate")
}
