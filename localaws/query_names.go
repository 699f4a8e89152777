package localaws

import (
	"reflect"
	"strings"
)

// The Query protocol of SQS spells the members of a structure as JSON does, except lists and maps:
// they are written out flat, each entry under the name of one. Source: the model of SQS of the time
// before JSON, in botocore 1.31.80.

// entryNames are what one entry is called where it is not the list's name without its s. A name that
// ends with a dash follows the name of the action.
var entryNames = map[string]string{
	"Entries":    "-BatchRequestEntry",
	"Successful": "-BatchResultEntry",
	"Failed":     "BatchResultErrorEntry",
	"Actions":    "ActionName",
	"Results":    "ListMessageMoveTasksResultEntry",
	"queueUrls":  "QueueUrl",
	"tags":       "Tag",
}

// entryName is what one entry of a list or a map is called in the requests and answers of an action.
func entryName(action, list string) string {
	name := entryNames[list]
	switch {
	case name == "":
		return strings.TrimSuffix(list, "s")
	case name[0] == '-':
		return strings.TrimSuffix(action, "Batch") + name[1:]
	default:
		return name
	}
}

// keyName is what the key of a map's entry is called.
func keyName(entry string) string {
	if entry == "Tag" {
		return "Key"
	}
	return "Name"
}

// jsonName is a field's name on the wire, and whether it is left out when it is empty.
func jsonName(f reflect.StructField) (name string, omitEmpty bool) {
	name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "" {
		name = f.Name
	}
	return name, options == "omitempty"
}
