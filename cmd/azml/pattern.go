package main

import (
	"regexp"
	"strings"
)

// pattern tells names that fit one of the patterns, in which "*" stands for any
// text and "?" for one character; nil when there is no pattern.
func pattern(patterns []string) func(name string) bool {
	if len(patterns) == 0 {
		return nil
	}
	var all []string
	for _, text := range patterns {
		text = regexp.QuoteMeta(strings.ToValidUTF8(text, "\uFFFD"))
		all = append(all, strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(text))
	}
	return regexp.MustCompile(`(?s)\A(?:` + strings.Join(all, "|") + `)\z`).MatchString
}

// fits tells whether the name fits, which all do when there is no pattern.
func fits(pattern func(string) bool, name string) bool { return pattern == nil || pattern(name) }
