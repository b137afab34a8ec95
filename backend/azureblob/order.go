package azureblob

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"github.com/azml-go/azml/backend"
)

// Names of files are their keys, and the service may sort them by units of UTF-16, as
// Azurite does, where keys are sorted by bytes. The two orders differ in one thing: units of
// UTF-16 have the characters beyond U+FFFF, written by two surrogates, before those from
// U+E000 on, bytes have them behind.
const (
	behindSurrogates = 0xE000
	beyondUnits      = 0x10000
)

// beforeSplit gives the part of a name behind which the two orders may differ. In both of
// them, no name that is greater in one of them comes before it.
func beforeSplit(name string) string {
	if at := strings.IndexFunc(name, func(r rune) bool { return r >= behindSurrogates }); at >= 0 {
		return name[:at]
	}
	return name
}

// byBytes puts a listing in either order into that of bytes. It holds back what may be in
// the wrong place: from a name with a character beyond U+FFFF on, those that have one from
// U+E000 on behind the same beginning, which come one after the other in both orders.
func byBytes(listing iter.Seq2[backend.Info, error]) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) {
		var held []backend.Info
		var beginning string
		release := func() bool {
			slices.SortFunc(held, func(a, b backend.Info) int { return cmp.Compare(a.Key, b.Key) })
			for _, info := range held {
				if !yield(info, nil) {
					return false
				}
			}
			held = held[:0]
			return true
		}
		for info, err := range listing {
			if len(held) > 0 && (err != nil || !splits(info.Key, beginning)) && !release() {
				return
			}
			at := strings.IndexFunc(info.Key, func(r rune) bool { return r >= beyondUnits })
			switch {
			case err == nil && len(held) > 0:
				held = append(held, info)
			case err == nil && at >= 0:
				held, beginning = append(held, info), info.Key[:at]
			case !yield(info, err):
				return
			}
		}
		release()
	}
}

// splits tells whether the orders may differ behind the beginning of the name.
func splits(name, beginning string) bool {
	rest, ok := strings.CutPrefix(name, beginning)
	for _, r := range rest {
		return ok && r >= behindSurrogates
	}
	return false
}
