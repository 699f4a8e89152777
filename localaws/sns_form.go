package localaws

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"unicode/utf8"
)

// queryForm reads the lists and maps of a Query request, which are spelled out: "Tags.member.1.Key".
type queryForm url.Values

func (f queryForm) get(name string) string { return url.Values(f).Get(name) }
func (f queryForm) has(name string) bool   { return url.Values(f).Has(name) }

// entries reads a map: name.entry.1.key, name.entry.1.value. Nil when there is none.
func (f queryForm) entries(name string) map[string]string {
	var m map[string]string
	for i := 1; ; i++ {
		at := fmt.Sprintf("%s.entry.%d.", name, i)
		if !f.has(at + "key") {
			return m
		}
		if m == nil {
			m = map[string]string{}
		}
		m[f.get(at+"key")] = f.get(at + "value")
	}
}

// members reads a list of texts: name.member.1.
func (f queryForm) members(name string) []string {
	var list []string
	for i := 1; ; i++ {
		at := fmt.Sprintf("%s.member.%d", name, i)
		if !f.has(at) {
			return list
		}
		list = append(list, f.get(at))
	}
}

// tags reads Tags.member.1.Key and .Value.
func (f queryForm) tags() (map[string]string, *apiError) {
	var m map[string]string
	for i := 1; ; i++ {
		at := fmt.Sprintf("Tags.member.%d.", i)
		if !f.has(at + "Key") {
			return m, nil
		}
		if m == nil {
			m = map[string]string{}
		}
		key := f.get(at + "Key")
		if _, twice := m[key]; twice {
			return nil, invalidParameter("Duplicated keys are not allowed.")
		}
		if key == "" || utf8.RuneCountInString(key) > 128 || utf8.RuneCountInString(f.get(at+"Value")) > 256 {
			return nil, invalidParameter("Tags Reason: the key of tag %d must have 1 to 128 characters, its value at most 256", i)
		}
		m[key] = f.get(at + "Value")
	}
}

// messageAttributes reads and checks prefix+"MessageAttributes.entry.1.Name" and so on. Position is
// that of a batch entry, 0 for a single publish; SNS names it.
func (f queryForm) messageAttributes(prefix string, position int) (map[string]sqsAttribute, *apiError) {
	var m map[string]sqsAttribute
	for i := 1; ; i++ {
		at := fmt.Sprintf("%sMessageAttributes.entry.%d.", prefix, i)
		if !f.has(at + "Name") {
			return m, nil
		}
		name := f.get(at + "Name")
		if e := checkAttributeName(name); e != nil {
			return nil, e
		}
		a, e := f.messageAttribute(at+"Value.", name, position)
		if e != nil {
			return nil, e
		}
		if m == nil {
			m = map[string]sqsAttribute{}
		}
		m[name] = a
	}
}

func (f queryForm) messageAttribute(at, name string, position int) (sqsAttribute, *apiError) {
	a := sqsAttribute{Type: f.get(at + "DataType"), String: f.get(at + "StringValue")}
	if a.Type == "" {
		where := fmt.Sprintf("messageAttributes.%s.member.dataType", name)
		if position > 0 {
			where = fmt.Sprintf("publishBatchRequestEntries.%d.member.%s", position, where)
		}
		return a, refuse("ValidationError", "1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", where)
	}
	kind := baseType(a.Type)
	if kind == "" {
		return a, invalidValue("The message attribute '%s' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.", name)
	}
	field := "String"
	if kind == "Binary" {
		field = "Binary"
	}
	switch other := map[string]string{"String": "Binary", "Binary": "String"}[field]; {
	case f.get(at+field+"Value") != "":
	case f.get(at+other+"Value") != "":
		return a, invalidValue("The message attribute '%s' with type '%s' must use field '%s'.", name, a.Type, field)
	default:
		return a, invalidValue("The message attribute '%s' must contain non-empty message attribute value for message attribute type '%s'.", name, a.Type)
	}
	if kind != "Binary" {
		return a, nil
	}
	binary, err := base64.StdEncoding.DecodeString(f.get(at + "BinaryValue"))
	if err != nil {
		return a, invalidValue("The message attribute '%s' has a BinaryValue that is not base64.", name)
	}
	a.String, a.Binary = "", binary
	return a, nil
}
