package core

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/azml-go/azml"
)

// HasLabels tells whether labels holds all of want; an empty value in want
// matches any value.
func HasLabels(labels, want map[string]string) bool {
	for key, value := range want {
		if have, ok := labels[key]; !ok || value != "" && have != value {
			return false
		}
	}
	return true
}

// ChangeLabels gives a copy of labels with set added or replaced and remove
// taken away.
func ChangeLabels(labels, set map[string]string, remove []string) map[string]string {
	out := maps.Clone(labels)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, set)
	for _, key := range remove {
		delete(out, key)
	}
	return out
}

// AddLabels gives a copy of labels with add added. A key that has another
// value already gives ErrConflict.
func AddLabels(labels, add map[string]string) (map[string]string, error) {
	for key, value := range add {
		if have, ok := labels[key]; ok && have != value {
			return nil, fmt.Errorf("%w: %q is %q already and can't be changed to %q", azml.ErrConflict, key, short(have), short(value))
		}
	}
	return ChangeLabels(labels, add, nil), nil
}

// When gives t when yes is true, else the zero time.
func When(yes bool, t time.Time) time.Time {
	if yes {
		return t
	}
	return time.Time{}
}

// Sample lists a few of many names for an error text.
func Sample(names []string) string {
	const most = 10
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
