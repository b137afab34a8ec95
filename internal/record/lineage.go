package record

import (
	"maps"
	"time"
)

// A record that is synced between workspaces is changed in any of them. Within
// one workspace its states are in one line, by Modified. So how far a state
// knows of each workspace's line says which of two states goes on from the
// other, or that they have gone different ways: a version vector, of which only
// what doesn't follow from the rest is stored.

// Touch makes the record a new state, written here at about now, under the
// token: it is always later than any state that it takes in, whatever the
// writers' clocks say.
func (m *Meta) Touch(token string, now time.Time) {
	latest := m.Modified
	for _, t := range m.Seen {
		if t.After(latest) {
			latest = t
		}
	}
	if m.Origin != "" {
		m.see(m.Origin, m.Modified)
		m.Origin = ""
	}
	if m.Born == "" {
		m.Born = m.Token
	}
	m.Token, m.Modified = token, now
	if !m.Modified.After(latest) {
		m.Modified = latest.Add(time.Nanosecond)
	}
}

// see notes that the state takes in the states of a workspace up to a time. The
// map is made anew: copies of the record may share it.
func (m *Meta) see(workspace string, until time.Time) {
	if !until.After(m.Seen[workspace]) {
		return
	}
	seen := maps.Clone(m.Seen)
	if seen == nil {
		seen = map[string]time.Time{}
	}
	seen[workspace] = until
	m.Seen = seen
}

// Birth is the token of the first state of the record: two that differ in it
// are two things that happen to have one key.
func (m *Meta) Birth() string {
	if m.Born == "" {
		return m.Token
	}
	return m.Born
}

// reach tells up to which of its states the record, kept in the workspace own,
// takes in each workspace's.
func (m *Meta) reach(own string) map[string]time.Time {
	all := Meta{Seen: m.Seen}
	if m.Origin != "" {
		own = m.Origin
	}
	all.see(own, m.Modified)
	return all.Seen
}

// Knows tells whether the record, kept in another workspace, ever was in this
// one, as far as it says.
func (m *Meta) Knows(workspace string) bool {
	_, seen := m.Seen[workspace]
	return seen || m.Origin == workspace
}

// Relation is how the state of a record in one workspace relates to that of the
// same key in another.
type Relation int

// The relations of a state to another one.
const (
	// Same says that both are one state.
	Same Relation = iota
	// Newer says that it goes on from the other one.
	Newer
	// Older says that the other one goes on from it.
	Older
	// Diverged says that the record was changed in both workspaces.
	Diverged
	// Strangers says that two records were made, one in each workspace.
	Strangers
)

// Relate tells how the record, kept in the workspace own, relates to another
// one, kept in the workspace others.
func (m *Meta) Relate(own string, other *Meta, others string) Relation {
	if m.Token == other.Token {
		return Same
	}
	if m.Birth() != other.Birth() {
		return Strangers
	}
	mine, theirs := m.reach(own), other.reach(others)
	switch {
	case within(theirs, mine):
		return Newer
	case within(mine, theirs):
		return Older
	}
	return Diverged
}

// within tells whether all that a reaches is reached by b.
func within(a, b map[string]time.Time) bool {
	for workspace, t := range a {
		if t.After(b[workspace]) {
			return false
		}
	}
	return true
}

// Move makes the record, which was read in one workspace, what is to be stored
// in another.
func (m *Meta) Move(from, to string) {
	if m.Origin == "" {
		m.Origin = from
	}
	if m.Origin == to {
		m.Origin = ""
	}
}

// TakeIn makes the record one that goes on from a state of another workspace, too,
// in which that state lost. Touch it afterwards: it is a new state.
func (m *Meta) TakeIn(other *Meta, others string) {
	for workspace, t := range other.reach(others) {
		m.see(workspace, t)
	}
}
