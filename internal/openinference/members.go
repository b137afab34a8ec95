package openinference

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Requests are read member by member, where they stand. encoding/json would take "Shape"
// for "shape", null for a length of 0, and of a list that stands there twice what the
// second one lacks from the first.

// members calls take with the name and the value of each member of an object that is
// known to be JSON; the value is nil for null, which is as if the member were not there. what
// is the object for errors.
func members(what string, object []byte, take func(name string, value []byte) error) error {
	l := Lists{Text: object}
	if l.Peek() != '{' {
		return fmt.Errorf("%s is no JSON object", what)
	}
	for l.Skip(); l.Peek() != '}'; {
		name := unquote(l.Word())
		l.Peek() // goes to the colon
		l.Skip()
		l.Peek()
		value := l.whole()
		if string(value) == "null" {
			value = nil
		}
		if err := take(name, value); err != nil {
			return err
		}
	}
	return nil
}

// items calls take with each item of a list that is known to be JSON, or nil.
func items(name string, list []byte, take func(item []byte) error) error {
	if list == nil {
		return nil
	}
	l := Lists{Text: list}
	if l.Peek() != '[' {
		return fmt.Errorf("the member %q is no list", name)
	}
	for l.Skip(); l.Peek() != ']'; {
		if err := take(l.whole()); err != nil {
			return err
		}
	}
	return nil
}

// whole takes the value that Peek has given the first character of, a list or an object
// with all that is in it.
func (l *Lists) whole() []byte {
	all, depth := l.Text, 0
	for {
		switch l.Text[0] {
		case '[', '{':
			depth++
			l.Skip()
		case ']', '}':
			depth--
			l.Skip()
		case ',', ':', ' ', '\t', '\n', '\r':
			l.Skip()
		default:
			l.Word()
		}
		if depth == 0 {
			end := len(all) - len(l.Text)
			return all[:end:end]
		}
	}
}

// unquote gives the text that a string of JSON stands for.
func unquote(word []byte) string {
	if bytes.IndexByte(word, '\\') < 0 {
		return string(word[1 : len(word)-1])
	}
	var text string
	_ = json.Unmarshal(word, &text) // it is JSON
	return text
}

// textOf gives the text of a member that must be one, or nil.
func textOf(name string, value []byte) (string, error) {
	if value == nil {
		return "", nil
	}
	if value[0] != '"' {
		return "", fmt.Errorf("the member %q is no text", name)
	}
	return unquote(value), nil
}
