package main

import (
	"bytes"
	"encoding/json"
	"io"
	"iter"

	"go.yaml.in/yaml/v3"

	"github.com/azml-go/azml/internal/terminal"
)

// The forms of output.
const (
	outputTable = "table"
	outputJSON  = "json"
	outputYAML  = "yaml"
)

var outputs = []string{outputTable, outputJSON, outputYAML}

// show prints value in the form that the user wants; for people, draw makes
// the text.
func (a *app) show(value any, draw func(t *table)) error {
	switch a.output {
	case outputJSON:
		return writeJSON(a.stdout, value)
	case outputYAML:
		return writeYAML(a.stdout, value)
	}
	t := &table{out: a.stdout}
	draw(t)
	return t.flush()
}

// showList shows a list; one without elements is said on the standard error,
// so that the output stays empty.
func showList[T any](a *app, list []T, none string, draw func(t *table)) error {
	if len(list) == 0 && a.output == outputTable {
		a.say("%s", none)
		return nil
	}
	return a.show(orEmpty(list), draw)
}

// orEmpty makes of nil a list that JSON writes as [].
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func writeJSON(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(value)
}

// writeYAML writes what writeJSON would, with the same names in the same order.
func writeYAML(w io.Writer, value any) error {
	var text bytes.Buffer
	if err := writeJSON(&text, value); err != nil {
		return err
	}
	var node yaml.Node
	if err := yaml.Unmarshal(text.Bytes(), &node); err != nil {
		return err
	}
	plain(&node)
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(&node); err != nil {
		return err
	}
	return e.Close()
}

// plain takes JSON's braces and quotes off; the encoder quotes what needs it.
func plain(n *yaml.Node) {
	if len(n.Content) > 0 || n.Kind == yaml.ScalarNode {
		n.Style = 0
	}
	for _, c := range n.Content {
		plain(c)
	}
}

// harmless gives CSV's cells as they are for programs, and without what a
// terminal would obey for one.
func (a *app) harmless(cells []string) []string {
	if !terminal.IsTerminal(a.stdout) {
		return cells
	}
	clean := make([]string, len(cells))
	for i, text := range cells {
		clean[i] = terminal.Clean(text)
	}
	return clean
}

// collect gathers up to limit details of a list, all when limit is 0.
func collect[T, D any](list iter.Seq2[T, error], limit int, details func(T) D) ([]D, error) {
	found := []D{}
	for item, err := range list {
		if err != nil {
			return nil, err
		}
		found = append(found, details(item))
		if len(found) == limit {
			break
		}
	}
	return found, nil
}
