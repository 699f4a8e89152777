package awsapi_test

import (
	"strings"
	"testing"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/queue"
)

func TestPublishBatchAnswersEachEntry(t *testing.T) {
	f := &fake{replies: []reply{{status: 200, header: map[string]string{"Content-Type": "text/xml"}, body: `<PublishBatchResponse><PublishBatchResult>
<Successful><member><Id>2</Id><MessageId>m-2</MessageId></member></Successful>
<Failed><member><Id>0</Id><Code>InternalError</Code><Message>later</Message><SenderFault>false</SenderFault></member></Failed>
</PublishBatchResult></PublishBatchResponse>`}}}
	api := awsapi.New(config(f), awsapi.Options{})
	const topic = "arn:aws:sns:eu-central-1:000000000000:news"
	ids, errs := api.PublishBatch(t.Context(), topic, []queue.Message{{Body: "a"}, {Body: "b", TraceHeader: "Root=1"}, {Body: "c", GroupID: "g", DeduplicationID: "d"}})
	if len(ids) != 3 || ids[2] != "m-2" || queue.At(errs, 2) != nil {
		t.Errorf("%q, %v", ids, errs)
	}
	for i, says := range []string{"publish to news: InternalError: later", "publish to news: the response says nothing of this entry"} {
		if err := queue.At(errs, i); err == nil || !strings.HasPrefix(err.Error(), says) {
			t.Errorf("entry %d: %v, want %s", i, err, says)
		}
	}
	seen := f.requests()
	if len(seen) != 1 || seen[0].header.Get("X-Amzn-Trace-Id") != "Root=1" {
		t.Fatalf("requests %+v", seen)
	}
	for _, part := range []string{"member.3.MessageGroupId=g", "member.3.MessageDeduplicationId=d"} {
		if !strings.Contains(seen[0].body, part) {
			t.Errorf("%s does not say %s", seen[0].body, part)
		}
	}
	if _, errs := api.PublishBatch(t.Context(), topic, make([]queue.Message, 11)); len(errs) != 11 || len(f.requests()) != 1 {
		t.Errorf("eleven: %v", errs)
	}
}
