package awsapi

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/stationmaster/worker/queue"
)

// The bodies that the SDK writes for the frequent calls, member by member. The order is its own: by
// name.

func appendReceive(b []byte, url string, attempt *string, n, visibility, wait int32) []byte {
	b = append(b, `{"MaxNumberOfMessages":`...)
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, `,"MessageAttributeNames":["All"],"MessageSystemAttributeNames":["All"],"QueueUrl":`...)
	b = appendString(b, url)
	if attempt != nil {
		b = append(b, `,"ReceiveRequestAttemptId":`...)
		b = appendString(b, *attempt)
	}
	if visibility != 0 {
		b = append(b, `,"VisibilityTimeout":`...)
		b = strconv.AppendInt(b, int64(visibility), 10)
	}
	if wait != 0 {
		b = append(b, `,"WaitTimeSeconds":`...)
		b = strconv.AppendInt(b, int64(wait), 10)
	}
	return append(b, '}')
}

// appendSettle writes a batch of deletes, or of visibility changes when visible is not nil.
func appendSettle(b []byte, url string, handles []queue.ReceiptHandle, visible []time.Duration) []byte {
	b = append(b, `{"Entries":[`...)
	for i, handle := range handles {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"Id":"`...)
		b = append(b, ids[i]...)
		b = append(b, `","ReceiptHandle":`...)
		b = appendString(b, string(handle))
		if visible != nil {
			b = append(b, `,"VisibilityTimeout":`...)
			b = strconv.AppendInt(b, int64(wholeSeconds(visible[i])), 10)
		}
		b = append(b, '}')
	}
	b = append(b, `],"QueueUrl":`...)
	b = appendString(b, url)
	return append(b, '}')
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string. What is no UTF-8 becomes U+FFFD, as everywhere.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
			i++
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			i++
		case c < utf8.RuneSelf:
			b = append(b, c)
			i++
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += size
		}
	}
	return append(b, '"')
}
