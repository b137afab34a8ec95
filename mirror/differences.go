package mirror

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// difference is a member of a record, such as "tags.team", that two states don't
// have alike.
type difference struct {
	member       string
	theirs, mine any // nil for none
}

// shown is how many members a conflict names.
const shown = 3

// differ adds what differs between two states, given as JSON, to the details of the
// conflict's sides.
func (c *Conflict) differ(theirs, mine []byte) {
	list := differences("", decoded(theirs), decoded(mine))
	for _, d := range list[:min(len(list), shown)] {
		c.Source.add(d.text(d.theirs))
		c.Destination.add(d.text(d.mine))
	}
	if more := len(list) - shown; more > 0 {
		c.Source.add(fmt.Sprintf("%d more", more))
		c.Destination.add(fmt.Sprintf("%d more", more))
	}
}

// text says what a side has.
func (d difference) text(value any) string {
	if value == nil {
		return "no " + d.member
	}
	return d.member + "=" + short(value)
}

// add adds something to the detail.
func (s *Side) add(text string) { s.Detail = strings.TrimPrefix(s.Detail+", "+text, ", ") }

// short gives a value in one line, of which a long one is cut off.
func short(value any) string {
	const longest = 40
	text, ok := value.(string)
	if !ok {
		data, _ := json.Marshal(value) // it was decoded from JSON
		text = string(data)
	}
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > longest {
		text = string(runes[:longest]) + "…"
	}
	return text
}

func decoded(data []byte) (members map[string]any) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	_ = d.Decode(&members) // it is a record that was encoded just now
	return members
}

// differences lists the members that differ, by their names.
func differences(prefix string, theirs, mine map[string]any) (list []difference) {
	all := maps.Clone(theirs)
	maps.Copy(all, mine)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		a, b := theirs[name], mine[name]
		if reflect.DeepEqual(a, b) {
			continue
		}
		below, isMap := a.(map[string]any)
		others, areMap := b.(map[string]any)
		if (isMap || a == nil) && (areMap || b == nil) {
			if below == nil {
				below = map[string]any{}
			}
			list = append(list, differences(prefix+name+".", below, others)...)
			continue
		}
		list = append(list, difference{prefix + name, a, b})
	}
	return list
}
