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

	number int    // in the table of items
	prefix string // of the keys of its records
	flat   bool   // its records lie directly below the prefix
	// classify tells which item the key of an object belongs to.
	classify func(rest string) (record string, p part)
	// read makes the row of a record.
	read func(key string, raw []byte, sums Summaries) (row, error)
}

// kinds lists all kinds.
func kinds() []*Kind { return []*Kind{Runs, Experiments, Models} }

// part says what of an item an object is.
type part int

const (
	noPart part = iota
	recordPart
	metricsPart
)

// row is an item as it is searched.
type row struct {
	id     string
	hidden bool // it is not to be found
	values filter.Row
}

// classify tells which item the key of an object belongs to, by the key of its
// record, and which part of it the object is.
func classify(key string) (k *Kind, record string, p part) {
	for _, k := range kinds() {
		if rest, ok := strings.CutPrefix(key, k.prefix); ok {
			record, p := k.classify(rest)
			return k, k.prefix + record, p
		}
	}
	return nil, "", noPart
}

// builder collects the values of a row.
type builder struct {
	schema *filter.Schema
	values filter.Row
}

func (k *Kind) builder() builder { return builder{&k.Schema, filter.Row{}} }

// text sets a text attribute, unless it is empty.
func (b builder) text(name, value string) {
	if value != "" {
		b.values[b.schema.Attribute(name)] = filter.Value{Text: value}
	}
}

func (b builder) number(name string, value float64) {
	b.values[b.schema.Attribute(name)] = filter.Value{Number: value}
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
