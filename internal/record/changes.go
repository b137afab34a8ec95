package record

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// ChangesFrom tells in words what is different from the state before, for the
// audit log: each alias that moved and from where, each tag.
func (m *RegisteredModel) ChangesFrom(before *RegisteredModel) []string {
	var c changes
	c.restored(before.Deleted, m.Deleted)
	c.text("title", before.Title, m.Title)
	c.free("description", before.Description, m.Description)
	c.labels("tag", quoted(before.Tags), quoted(m.Tags))
	c.labels("alias", versions(before.Aliases), versions(m.Aliases))
	return c
}

// versions gives in words what aliases point to.
func versions(aliases map[string]int) map[string]string {
	out := map[string]string{}
	for alias, n := range aliases {
		out[alias] = "version " + strconv.Itoa(n)
	}
	return out
}

// quoted gives labels with their values in quotes, so that an empty value is one.
func quoted(labels map[string]string) map[string]string {
	out := map[string]string{}
	for key, value := range labels {
		out[key] = strconv.Quote(brief(value))
	}
	return out
}

// ChangesFrom tells in words what is different from the state before, for the
// audit log.
func (m *Model) ChangesFrom(before *Model) []string {
	var c changes
	c.restored(before.Deleted, m.Deleted)
	c.free("description", before.Description, m.Description)
	c.text("stage", before.Stage, m.Stage)
	c.labels("tag", quoted(before.Tags), quoted(m.Tags))
	c.labels("property", quoted(before.Properties), quoted(m.Properties))
	return c
}

// changes are differences in words.
type changes []string

// restored tells that what was deleted is there again.
func (c *changes) restored(before, after time.Time) {
	if !before.IsZero() && after.IsZero() {
		*c = append(*c, "back after its deletion")
	}
}

// text tells of a value that is short.
func (c *changes) text(what, before, after string) {
	switch {
	case before == after:
	case before == "":
		*c = append(*c, fmt.Sprintf("%s: %s", what, after))
	case after == "":
		*c = append(*c, fmt.Sprintf("%s removed, it was %s", what, before))
	default:
		*c = append(*c, fmt.Sprintf("%s: %s, before %s", what, after, before))
	}
}

// free tells that a text changed, and not how.
func (c *changes) free(what, before, after string) {
	if before != after {
		*c = append(*c, what)
	}
}

// labels tells of each key whose value changed, in the order of the keys.
func (c *changes) labels(what string, before, after map[string]string) {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(before)), maps.Keys(after))
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		c.text(what+" "+brief(key), before[key], after[key])
	}
}

// brief bounds what one value takes in the audit log, in bytes.
func brief(text string) string {
	const most = 200
	if len(text) <= most {
		return text
	}
	cut := most
	for cut > 0 && text[cut]&0xC0 == 0x80 { // not within a character
		cut--
	}
	return text[:cut] + "…"
}
