package snssign_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stationmaster/worker/internal/snssign"
)

const bare = `"Type":"Notification","MessageId":"m","TopicArn":"arn:aws:sns:us-east-1:000000000000:t","Message":"x","Timestamp":"2026-11-25T03:00:00.000Z"`

func TestNothingMayFollowTheObject(t *testing.T) {
	if _, err := snssign.Parse([]byte("{" + bare + "} \n")); err != nil {
		t.Fatal(err)
	}
	for _, after := range []string{"]", "}", " ]", "{}", "x", ",", "\x00"} {
		if _, err := snssign.Parse([]byte("{" + bare + "}" + after)); err == nil {
			t.Errorf("%q follows, and no error", after)
		}
	}
}

// TestAFloodOfFieldsIsRefusedEarly: before the signature anybody may post, and each field costs more
// memory than its text.
func TestAFloodOfFieldsIsRefusedEarly(t *testing.T) {
	var b strings.Builder
	b.WriteString("{" + bare)
	for n := range 60_000 {
		fmt.Fprintf(&b, `,"%x":0`, n)
	}
	body := []byte(b.String() + "}")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := snssign.Parse(body)
	runtime.ReadMemStats(&after)
	if err == nil {
		t.Error("taken")
	}
	if spent := after.TotalAlloc - before.TotalAlloc; spent > uint64(2*len(body)) {
		t.Errorf("%d bytes of memory for a body of %d", spent, len(body))
	}
}

// TestAWSIsKnownInEachPartition: taken for a local server, it would get no time to spread what was set, and
// all that it signs would be refused.
func TestAWSIsKnownInEachPartition(t *testing.T) {
	for host, want := range map[string]bool{
		"sns.us-east-1.amazonaws.com": true, "vpce-1-x.sqs.eu-west-1.vpce.amazonaws.com": true, "SQS.cn-north-1.amazonaws.com.cn": true,
		"sqs.eusc-de-east-1.amazonaws.eu": true, "sns.us-iso-east-1.c2s.ic.gov": true, "sqs.us-isob-east-1.sc2s.sgov.gov": true,
		"sqs.us-east-1.api.aws": true,
		"localhost":             false, "127.0.0.1": false, "": false, "amazonaws.com.evil.example": false, "evilamazonaws.com": false,
	} {
		if got := snssign.IsAWS(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}
