package snsfilter

import (
	"math"
	"strconv"
	"strings"
)

type kind uint8

const (
	isNull kind = iota
	isBool
	isText
	isNumber
)

// scalar is one value that can be matched. A number and a string are never equal.
type scalar struct {
	kind kind
	text string // as it is written
	// hundredThousandths is a number in range: SNS promises five digits after the point, and tells
	// no more of them apart here.
	hundredThousandths int64
	inRange            bool
}

// maxNumber bounds what numbers are compared by value; beyond, only the same spelling is the same
// number, as of an account's id.
const maxNumber = 1e9

// newNumber reads a number as JSON and SNS write it. There is none in "0x1", "inf" and the like.
func newNumber(text string) (scalar, bool) {
	if text == "" || strings.Trim(text, "0123456789+-.eE") != "" {
		return scalar{}, false
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && math.Abs(f) <= maxNumber { // out of float64's range is out of ours, and a number
		return scalar{}, false
	}
	v := scalar{kind: isNumber, text: text}
	if math.Abs(f) <= maxNumber {
		v.hundredThousandths, v.inRange = int64(math.Round(f*1e5)), true
	}
	return v, true
}

func (s scalar) equal(v scalar) bool {
	if s.kind != v.kind {
		return false
	}
	if s.inRange && v.inRange {
		return s.hundredThousandths == v.hundredThousandths
	}
	return s.text == v.text
}
