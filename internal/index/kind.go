package index

import (
	"strings"
	"time"

	"github.com/azml-go/azml/internal/filter"
)

// Kind is a kind of thing that can be searched.
type Kind struct {
	// Schema says what it can be searched for.
	Schema filter.Schema

	name   string // for errors
	number int    // in the table of items
	prefix string // of the keys of its records
	flat   bool   // its records lie directly below the prefix
	within bool   // another kind has the same prefix, and is compared together with it
	// classify tells which item the key of an object belongs to.
	classify func(rest string) (record string, p part)
	// id gives the ID of the item whose record has the key.
	id func(key string) string
	// read gives the values of a record. One that is not to be found gives none.
	read func(key string, raw []byte, sums Summaries) (filter.Row, error)
}

// kinds lists all kinds.
func kinds() []*Kind {
	return []*Kind{Runs, Experiments, Models, RegisteredModels, LoggedModels, Datasets}
}

// part says what of an item an object is; more than one are or-ed.
type part int

const (
	noPart     part = 0
	recordPart part = 1 << iota
	metricsPart
)

// classify tells which item the key of an object belongs to, by the key of its
// record, and which part of it the object is.
func classify(key string) (k *Kind, record string, p part) {
	for _, k := range kinds() {
		if rest, ok := strings.CutPrefix(key, k.prefix); ok {
			if record, p := k.classify(rest); p != noPart {
				return k, k.prefix + record, p
			}
		}
	}
	return nil, "", noPart
}

// builder collects the values of a row.
type builder struct{ values filter.Row }

func newBuilder() builder { return builder{filter.Row{}} }

// text sets a text attribute, unless it is empty.
func (b builder) text(name, value string) {
	if value != "" {
		b.values[filter.Field{Entity: filter.Attribute, Key: name, Type: filter.Text}] = filter.Value{Text: value}
	}
}

func (b builder) number(name string, value float64) {
	b.values[filter.Field{Entity: filter.Attribute, Key: name, Type: filter.Number}] = filter.Value{Number: value}
}

// time sets an attribute to milliseconds since 1970, as MLflow has it, unless t
// is zero.
func (b builder) time(name string, t time.Time) {
	if !t.IsZero() {
		b.number(name, float64(t.UnixMilli()))
	}
}

// labels sets the fields of an entity.
func (b builder) labels(e filter.Entity, labels map[string]string) {
	for key, value := range labels {
		b.values[filter.Field{Entity: e, Key: key, Type: filter.Text}] = filter.Value{Text: value}
	}
}
