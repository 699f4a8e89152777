package localaws

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"unicode/utf8"
)

// decodeForm reads the parameters of a request into the structure that JSON would be read into. What
// the structure has no field for is ignored, as AWS ignores it.
func decodeForm(action string, form url.Values, into any) error {
	for name, values := range form {
		if len(values) > 0 && !utf8.ValidString(values[0]) {
			return malformed("the parameter %q is not valid UTF-8", name)
		}
	}
	return formDecoder(action).structure("", newFormTree(form), reflect.ValueOf(into).Elem())
}

// formDecoder knows the action that it decodes for.
type formDecoder string

func (d formDecoder) structure(at string, n *formNode, into reflect.Value) error {
	for i := range into.NumField() {
		field, v := into.Type().Field(i), into.Field(i)
		if field.Anonymous {
			if err := d.structure(at, n, v); err != nil {
				return err
			}
			continue
		}
		name, _ := jsonName(field)
		if err := d.member(at, name, n, v); err != nil {
			return err
		}
	}
	return nil
}

// member reads one member of a structure out of its node.
func (d formDecoder) member(at, name string, n *formNode, into reflect.Value) error {
	switch {
	case into.Kind() == reflect.Map:
		return d.dictionary(at, name, n, into)
	case into.Kind() == reflect.Slice && into.Type().Elem().Kind() != reflect.Uint8:
		return d.list(at, name, n, into)
	}
	if text, given := n.text(name); given {
		return scalar(at+name, text, into)
	}
	return nil
}

// below are the entries of a list or a map. TagQueue spells its map with the s in the old model.
func (d formDecoder) below(name string, n *formNode) (entry string, nodes []*formNode) {
	entry = entryName(string(d), name)
	if nodes = n.below[entry].entries(); nodes == nil {
		nodes = n.below[name].entries()
	}
	return entry, nodes
}

func (d formDecoder) dictionary(at, name string, n *formNode, into reflect.Value) error {
	entry, nodes := d.below(name, n)
	for i, node := range nodes {
		key, given := node.text(keyName(entry))
		if !given {
			continue
		}
		value, at := reflect.New(into.Type().Elem()).Elem(), fmt.Sprintf("%s%s.%d.Value", at, entry, i+1)
		var err error
		if value.Kind() == reflect.Struct {
			if under := node.below["Value"]; under != nil {
				err = d.structure(at+".", under, value)
			}
		} else if text, given := node.text("Value"); given {
			err = scalar(at, text, value)
		}
		if err != nil {
			return err
		}
		if into.IsNil() {
			into.Set(reflect.MakeMap(into.Type()))
		}
		into.SetMapIndex(reflect.ValueOf(key), value)
	}
	return nil
}

func (d formDecoder) list(at, name string, n *formNode, into reflect.Value) error {
	entry, nodes := d.below(name, n)
	for i, node := range nodes {
		value, at := reflect.New(into.Type().Elem()).Elem(), fmt.Sprintf("%s%s.%d", at, entry, i+1)
		var err error
		if value.Kind() == reflect.Struct {
			err = d.structure(at+".", node, value)
		} else {
			err = scalar(at, node.value, value)
		}
		if err != nil {
			return err
		}
		into.Set(reflect.Append(into, value))
	}
	return nil
}

// scalar reads a text, a number, a truth value or bytes in base64. An empty number is none.
func scalar(at, text string, into reflect.Value) error {
	wrong := func(what string) error {
		return refuse("InvalidParameterValue", "Value %s for parameter %s is invalid. Reason: Must be %s.", text, at, what)
	}
	if into.Kind() == reflect.Pointer {
		if text == "" && into.Type().Elem().Kind() != reflect.String {
			return nil
		}
		into.Set(reflect.New(into.Type().Elem()))
		into = into.Elem()
	}
	switch into.Kind() {
	case reflect.String:
		into.SetString(text)
	case reflect.Int, reflect.Int64, reflect.Int32:
		n, err := strconv.ParseInt(text, 10, into.Type().Bits())
		if err != nil {
			return wrong("an integer")
		}
		into.SetInt(n)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return wrong("true or false")
		}
		into.SetBool(b)
	case reflect.Slice:
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return wrong("base64")
		}
		into.SetBytes(b)
	default:
		return fmt.Errorf("parameter %s: this server cannot decode into %s", at, into.Type())
	}
	return nil
}
