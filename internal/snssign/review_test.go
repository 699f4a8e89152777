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
