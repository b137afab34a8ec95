package terminal

import "strings"

// Span is a part of a line in one color.
type Span struct {
	// Color is the color, none when empty.
	Color Color
	// Text is the text; it is cleaned when it is drawn.
	Text string
}

// Spans gives one line of the spans, cut to width columns.
func (s Style) Spans(width int, spans ...Span) string {
	var b strings.Builder
	for _, span := range spans {
		text := s.Fit(span.Text, width)
		if width -= Width(text); span.Color == "" {
			b.WriteString(text)
		} else {
			b.WriteString(s.Paint(span.Color, text))
		}
	}
	return b.String()
}
