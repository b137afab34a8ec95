package gitignore

// Matcher answers for the files of one folder. It does not change and is safe
// for concurrent use. Make one for the top folder with New and one for each
// folder below with Enter.
type Matcher struct {
	// dir is the path from the top folder, with a slash at its end, or "".
	dir      string
	patterns *Patterns
	// above is the nearest folder further up that has patterns.
	above *Matcher
	// excludedBy is the pattern that ignores this folder or one above it.
	excludedBy *Pattern
}

// New gives the Matcher of the top folder, whose ignore file holds patterns;
// nil when it has none.
func New(patterns *Patterns) *Matcher {
	return &Matcher{patterns: patterns}
}

// Enter gives the Matcher of the folder name inside this one, whose own ignore
// file holds patterns; nil when it has none. In an ignored folder everything
// is ignored, whatever its own ignore file says.
func (m *Matcher) Enter(name string, patterns *Patterns) *Matcher {
	child := &Matcher{dir: m.dir + name + "/", patterns: patterns, above: m}
	if m.patterns.Len() == 0 {
		child.above = m.above
	}
	if ignored, by := m.Match(name, true); ignored {
		child.excludedBy = by
	}
	return child
}

// Match says whether the file or folder name of this folder is ignored, and by
// which pattern. When a pattern takes the name back, the answer is false and
// that pattern; when none matches, false and nil. A symbolic link is no folder,
// wherever it points. Match costs one comparison for each pattern of this
// folder and those above, until one fits.
func (m *Matcher) Match(name string, isDir bool) (ignored bool, by *Pattern) {
	if m.excludedBy != nil {
		return true, m.excludedBy
	}
	path := ""
	for level := m; level != nil; level = level.above {
		if level.patterns == nil {
			continue
		}
		list := level.patterns.list
		for i := len(list) - 1; i >= 0; i-- {
			p := list[i]
			if p.DirOnly && !isDir {
				continue
			}
			subject := name
			if p.byPath {
				if path == "" {
					path = m.dir + name
				}
				subject = path[len(level.dir):]
			}
			if p.match(p, subject) {
				return !p.Negated, p
			}
		}
	}
	return false, nil
}
