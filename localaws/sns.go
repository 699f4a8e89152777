package localaws

import (
	"sort"
)

// invalidParameter is SNS's answer to nearly everything that a caller can get wrong.
func invalidParameter(format string, args ...any) *apiError {
	return refuse("InvalidParameter", "Invalid parameter: "+format, args...)
}

// invalidValue is the code that SNS keeps for message attributes.
func invalidValue(format string, args ...any) *apiError {
	return refuse("ParameterValueInvalid", format, args...)
}

func snsNotFound(what string) *apiError {
	return &apiError{Status: 404, Code: "NotFound", Message: what + " does not exist"}
}

// xmlMap is a map as the Query protocol answers it: entry elements with key and value.
type xmlMap struct {
	Entries []xmlEntry `xml:"entry"`
}

type xmlEntry struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

func newXMLMap(m map[string]string) xmlMap {
	x := xmlMap{Entries: make([]xmlEntry, 0, len(m))}
	for key, value := range m {
		x.Entries = append(x.Entries, xmlEntry{key, value})
	}
	sort.Slice(x.Entries, func(i, j int) bool { return x.Entries[i].Key < x.Entries[j].Key })
	return x
}
