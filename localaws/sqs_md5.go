package localaws

import (
	"crypto/md5" // the protocol asks for it
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
)

func md5Of(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// md5OfAttributes is SQS's checksum of attributes: by name, the lengths and bytes of name, type and
// value, with one byte that says which kind of value it is. Source: "Calculating the MD5 message
// digest for message attributes", SQS Developer Guide. Without attributes there is none.
func md5OfAttributes(attributes map[string]sqsAttribute) string {
	if len(attributes) == 0 {
		return ""
	}
	var b []byte
	part := func(text string) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
		b = append(b, text...)
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		part(name)
		part(a.Type)
		if a.isBinary() {
			b = append(b, 2)
			part(string(a.Binary))
		} else {
			b = append(b, 1)
			part(a.String)
		}
	}
	return md5Of(string(b))
}

func (a sqsAttribute) isBinary() bool { return strings.HasPrefix(a.Type, "Binary") }

// corrupt is a checksum that fits nothing, for Fault.CorruptMD5.
func (c *call) corrupt(sum string) string {
	if c.fault.CorruptMD5 && sum != "" {
		return strings.Repeat("0", len(sum))
	}
	return sum
}
