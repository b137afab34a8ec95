package filter

import (
	"maps"
	"slices"
)

// Between gives the patterns one of which a text has the form of exactly when
// before, the text and after together have the form of the pattern: none when no
// text has. With fold it is about [ILike], else about [Like].
func Between(pattern, before, after string, fold bool) []string {
	var out []string
	for _, rest := range remainders([]rune(pattern), []rune(before), fold) {
		slices.Reverse(rest)
		end := []rune(after)
		slices.Reverse(end)
		for _, inner := range remainders(rest, end, fold) {
			slices.Reverse(inner)
			if text := string(inner); !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	return out
}

// remainders gives what may be left of the pattern behind a text that its
// beginning stands for.
func remainders(pattern, text []rune, fold bool) [][]rune {
	at := map[int]bool{0: true} // how much of the pattern may have been passed
	for _, have := range text {
		next := map[int]bool{}
		for p := range at {
			for ; p < len(pattern) && pattern[p] == '%'; p++ {
				next[p] = true
			}
			if p < len(pattern) && (pattern[p] == '_' || pattern[p] == have || fold && sameLetter(pattern[p], have)) {
				next[p+1] = true
			}
		}
		at = next
	}
	var out [][]rune
	for _, p := range slices.Sorted(maps.Keys(at)) {
		out = append(out, slices.Clone(pattern[p:]))
	}
	return out
}
