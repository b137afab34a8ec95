package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// searching are the flags of a search.
type searching struct {
	filter  string
	orderBy []string
}

func searchFlags(cmd *cobra.Command) *searching {
	s := &searching{}
	cmd.Flags().StringVar(&s.filter, "filter", "", "only what this filter is true of, see above")
	cmd.Flags().StringArrayVar(&s.orderBy, "order-by", nil, "keys to order by, such as \"start_time desc\", with commas between them (repeatable)")
	return s
}

func (s *searching) given() bool { return s.filter != "" || len(s.orderBy) > 0 }

// with gives the filter with more that must be true.
func (s *searching) with(more ...string) string {
	also := both(more...)
	switch {
	case strings.TrimSpace(s.filter) == "":
		return also
	case also == "":
		return s.filter // errors name its columns
	}
	return "(" + s.filter + ") AND " + also
}

// both joins the filters that are not empty.
func both(filters ...string) string {
	return strings.Join(slices.DeleteFunc(filters, func(f string) bool { return f == "" }), " AND ")
}

// hasTags gives a filter for the tags; an empty value matches any.
func hasTags(tags map[string]string) string { return hasLabels("tags", tags) }

func hasLabels(entity string, labels map[string]string) string {
	var terms []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		is := " IS NOT NULL"
		if labels[key] != "" {
			is = " = " + quoted(labels[key], "'")
		}
		terms = append(terms, entity+"."+quoted(key, "`")+is)
	}
	return both(terms...)
}

// quoted gives text between quotes, those in it doubled.
func quoted(text, quote string) string {
	return quote + strings.ReplaceAll(text, quote, quote+quote) + quote
}

// filterHelp describes filters in short; fields are those of one kind.
func filterHelp(kind string) string {
	fields := map[string]string{
		"run": `metrics.NAME, params.NAME, tags.NAME, properties.NAME, and the attributes run_id,
run_name, experiment, number, status, type, user_id, description, parent_run_id,
root_run_id, target, start_time, end_time, delete_time`,
		"experiment": `tags.NAME, and the attributes name, title, experiment_id, description, user_id,
creation_time, last_update_time, archive_time`,
		"dataset": `tags.NAME, and the attributes name, version_number, type, definition_id,
description, user_id, size, files, creation_timestamp, last_updated_timestamp`,
		"model": `tags.NAME, properties.NAME, and the attributes name, version_number, run_id,
experiment, source_path, framework, framework_version, description, user_id, size,
creation_timestamp, last_updated_timestamp`,
	}
	return fmt.Sprintf(`A filter compares fields by =, !=, <, <=, >, >=, LIKE, ILIKE, IN, IS NULL and their
NOT, joined by AND, OR, NOT and parentheses. Fields are %s.
Text is in '…' or "…", a name that is no plain word in `+"`…`"+`; times are in milliseconds
since 1970. In LIKE, %% stands for any characters and _ for one.`, fields[kind])
}
