package openinference

// Lists reads nested lists of values from text that is known to be JSON.
type Lists struct {
	// Text is what is yet to be read.
	Text []byte
}

// Peek gives the first character behind spaces and commas, 0 at the end.
func (l *Lists) Peek() byte {
	for len(l.Text) > 0 {
		switch c := l.Text[0]; c {
		case ' ', '\t', '\n', '\r', ',':
			l.Text = l.Text[1:]
		default:
			return c
		}
	}
	return 0
}

// Skip goes behind the bracket that Peek has given.
func (l *Lists) Skip() { l.Text = l.Text[1:] }

// Word takes the value that Peek has given the first character of, which is no list: a
// text with its quotes, a number, a word, or of an object all that is left. It is a part
// of Text.
func (l *Lists) Word() []byte {
	end := 0
	switch l.Text[0] {
	case '"':
		for end = 1; l.Text[end] != '"'; end++ {
			if l.Text[end] == '\\' {
				end++
			}
		}
		end++
	case '{':
		end = len(l.Text)
	default:
		for end < len(l.Text) && l.Text[end] != ',' && l.Text[end] != ']' && l.Text[end] != '}' && l.Text[end] > ' ' {
			end++
		}
	}
	word := l.Text[:end:end]
	l.Text = l.Text[end:]
	return word
}

// AppendNested appends values, of which write appends each by its place, nested as the
// shape says; one alone for the empty shape.
func AppendNested(out []byte, shape []int64, write func(out []byte, i int) []byte) []byte {
	next := 0
	return nest(out, shape, &next, write)
}

func nest(out []byte, shape []int64, next *int, write func(out []byte, i int) []byte) []byte {
	if len(shape) == 0 {
		*next++
		return write(out, *next-1)
	}
	out = append(out, '[')
	for i := range shape[0] {
		if i > 0 {
			out = append(out, ',')
		}
		out = nest(out, shape[1:], next, write)
	}
	return append(out, ']')
}
