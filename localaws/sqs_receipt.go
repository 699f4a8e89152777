package localaws

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
)

// A receipt handle names the queue, the message and which of its receipts it is. The checksum tells
// a handle of ours from garbage, as AWS can.
const handleBytes = 8 + 8 + 8 + 4

func (q *sqsQueue) handle(m *message) string {
	b := make([]byte, 0, handleBytes)
	b = binary.BigEndian.AppendUint64(b, q.serial)
	b = binary.BigEndian.AppendUint64(b, m.serial)
	b = binary.BigEndian.AppendUint64(b, uint64(m.receipts))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.StdEncoding.EncodeToString(b)
}

// byHandle finds the message that a handle names: nil when it is not in the queue any more. last
// says whether nobody has received the message after the handle was given out.
func (q *sqsQueue) byHandle(handle string) (m *message, last bool, err error) {
	if handle == "" {
		return nil, false, missing("ReceiptHandle")
	}
	b, err := base64.StdEncoding.DecodeString(handle)
	if err != nil || len(b) != handleBytes ||
		binary.BigEndian.Uint32(b[24:]) != crc32.ChecksumIEEE(b[:24]) || binary.BigEndian.Uint64(b) != q.serial {
		return nil, false, &apiError{Status: 404, Code: "ReceiptHandleIsInvalid", Message: `The input receipt handle "` + handle + `" is not a valid receipt handle.`}
	}
	m = q.bySerial[binary.BigEndian.Uint64(b[8:])]
	return m, m != nil && binary.BigEndian.Uint64(b[16:]) == uint64(m.receipts), nil
}
