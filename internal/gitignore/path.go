package gitignore

import "strings"

// pathGlob is a pattern for a path: one segment for each of its names.
type pathGlob []segment

// segment matches one name of a path, or any number of them.
type segment struct {
	kind segmentKind
	glob glob
}

type segmentKind uint8

const (
	// oneName is a name that the glob matches.
	oneName segmentKind = iota
	// anyNames is "**/": any number of names, also none.
	anyNames
	// someNames is "**\/", which git reads as at least one name.
	someNames
	// allTheRest is "**" at the end: at least one name.
	allTheRest
)

// match compares the whole of path. When a name does not fit, only the last
// run of asterisks need take one name more, for the same reason as in
// glob.match. Every segment meets every name at most once between two such
// steps, so the work stays at most len(pattern) times len(path).
func (g pathGlob) match(path string) bool {
	var i, at int // the segment and the place in path where it begins
	deep, resume := -1, 0
	for {
		ok := at <= len(path)
		switch {
		case i == len(g):
			if !ok {
				return true
			}
			ok = false
		case g[i].kind == allTheRest:
			if ok {
				return true
			}
		case g[i].kind == oneName:
			if ok {
				next := nextName(path, at)
				ok = g[i].glob.match(path[at : next-1])
				at = next
			}
		default:
			if ok && g[i].kind == someNames {
				at = nextName(path, at)
			}
			ok = ok || g[i].kind == anyNames
			deep, resume = i, at
		}
		i++
		if ok {
			continue
		}
		if deep < 0 || resume > len(path) {
			return false
		}
		resume = nextName(path, resume)
		i, at = deep+1, resume
	}
}

// nextName gives where the name after the one at place at begins, which is
// len(path)+1 when there is none.
func nextName(path string, at int) int {
	if n := strings.IndexByte(path[at:], '/'); n >= 0 {
		return at + n + 1
	}
	return len(path) + 1
}

// compilePathGlob compiles text, which may hold slashes. It returns false when
// nothing can ever match.
func compilePathGlob(text string) (pathGlob, bool) {
	var (
		path  pathGlob
		name  glob
		start = true // at the beginning of a name
	)
	for text != "" {
		if start {
			if kind, rest, ok := cutAsterisks(text); ok {
				path = append(path, segment{kind: kind})
				if kind == allTheRest {
					return path, true
				}
				text = rest
				continue
			}
		}
		t, rest, ok := nextToken(text)
		if !ok {
			return nil, false
		}
		text = rest
		if start = t.kind == oneChar && t.char == '/'; start {
			path = append(path, segment{glob: name})
			name = nil
			continue
		}
		name = name.add(t)
	}
	return append(path, segment{glob: name}), true
}

// cutAsterisks takes off two or more asterisks that stand for whole names,
// with the slash behind them.
func cutAsterisks(text string) (kind segmentKind, rest string, ok bool) {
	rest = strings.TrimLeft(text, "*")
	if len(text)-len(rest) < 2 {
		return 0, "", false
	}
	if rest == "" {
		return allTheRest, "", true
	}
	if after, ok := strings.CutPrefix(rest, "/"); ok {
		return anyNames, after, true
	}
	after, ok := strings.CutPrefix(rest, `\/`)
	return someNames, after, ok
}
