package localaws

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"reflect"
	"slices"
	"strconv"
)

// xmlEncoder writes the results of an action of SQS, which encoding/json writes for the other
// protocol, as the elements of the Query protocol.
type xmlEncoder struct {
	bytes.Buffer

	action string
}

// element writes an element around what content writes. An empty one closes itself, as AWS's do.
func (e *xmlEncoder) element(name string, content func() error) error {
	e.WriteString("<" + name + ">")
	start := e.Len()
	if err := content(); err != nil {
		return err
	}
	if e.Len() == start {
		e.Truncate(start - 1)
		e.WriteString("/>")
		return nil
	}
	e.WriteString("</" + name + ">")
	return nil
}

func (e *xmlEncoder) structure(v reflect.Value) error {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Anonymous {
			if err := e.structure(v.Field(i)); err != nil {
				return err
			}
			continue
		}
		name, omitEmpty := jsonName(field)
		if omitEmpty && v.Field(i).IsZero() {
			continue
		}
		if err := e.member(name, v.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

// member writes one member of a structure: lists and maps flat, entry by entry.
func (e *xmlEncoder) member(name string, v reflect.Value) error {
	switch {
	case v.Kind() == reflect.Map:
		entry := entryName(e.action, name)
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return bytes.Compare([]byte(a.String()), []byte(b.String())) })
		for _, key := range keys {
			if err := e.element(entry, func() error {
				if err := e.element(keyName(entry), func() error { return e.value(key) }); err != nil {
					return err
				}
				return e.element("Value", func() error { return e.value(v.MapIndex(key)) })
			}); err != nil {
				return err
			}
		}
		return nil
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
		for i := range v.Len() {
			if err := e.element(entryName(e.action, name), func() error { return e.value(v.Index(i)) }); err != nil {
				return err
			}
		}
		return nil
	case v.Kind() == reflect.Pointer && v.IsNil():
		return nil
	}
	return e.element(name, func() error { return e.value(v) })
}

// value writes the content of an element.
func (e *xmlEncoder) value(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		return e.value(v.Elem())
	case reflect.Struct:
		return e.structure(v)
	case reflect.String:
		return xml.EscapeText(e, []byte(v.String()))
	case reflect.Slice:
		e.WriteString(base64.StdEncoding.EncodeToString(v.Bytes()))
	case reflect.Bool:
		e.WriteString(strconv.FormatBool(v.Bool()))
	case reflect.Int, reflect.Int64, reflect.Int32:
		e.WriteString(strconv.FormatInt(v.Int(), 10))
	default:
		return fmt.Errorf("this server cannot encode %s", v.Type())
	}
	return nil
}
