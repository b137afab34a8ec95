package textvalue

import (
	"bytes"

	"github.com/azml-go/azml/tabular"
)

// Guess tells the type of a column from some of its values. The zero Guess has
// seen none.
type Guess struct {
	seen             bool // anything but words such as "nan"
	noInt, noFloat   bool
	noBool, noTime   bool
	words, longDigit bool
}

// Add looks at one more value that is not missing.
func (g *Guess) Add(text []byte) {
	if _, isWord := word(bytes.TrimSpace(text)); isWord {
		g.words, g.noInt, g.noBool, g.noTime = true, true, true, true
		return
	}
	g.seen = true
	if !g.noInt {
		if _, ok := Int(text); !ok {
			g.noInt = true
		}
	}
	if !g.noFloat {
		_, ok := Float(text)
		g.noFloat = !ok
		g.longDigit = g.longDigit || ok && isLong(bytes.TrimSpace(text))
	}
	if !g.noBool {
		_, ok := Bool(text)
		g.noBool = !ok
	}
	if !g.noTime {
		_, ok, _ := Time(text, nil)
		g.noTime = !ok
	}
}

// isLong tells whether the number is whole but no int64, so that a float would
// lose digits of what is likely an identifier.
func isLong(text []byte) bool {
	if bytes.ContainsAny(text, ".eE") {
		return false
	}
	_, ok := Int(text)
	return !ok
}

// Type gives the narrowest type that fits all values: String when there was none.
func (g *Guess) Type() tabular.Type {
	switch {
	case !g.seen:
		return tabular.String
	case !g.noInt:
		return tabular.Int
	case !g.noFloat && !g.longDigit:
		return tabular.Float
	case !g.noBool:
		return tabular.Bool
	case !g.noTime:
		return tabular.Time
	}
	return tabular.String
}
