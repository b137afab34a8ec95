package mask

import "io"

// Writer masks what is written to it in pieces and hands it on. What may be the
// beginning of a secret is held back until more comes. What it hands on in all
// depends on what was written in all, and not on the pieces. It is not safe for
// concurrent use.
type Writer struct {
	secrets *Secrets
	to      io.Writer
	state   pending
}

// Writer gives a writer that masks what it hands on to w, which must take all of
// a piece or nothing. Flush it at the end.
func (s *Secrets) Writer(w io.Writer) *Writer { return &Writer{secrets: s, to: w} }

// Write takes all of p, or nothing when what it leads to can't be written: then
// the same can be tried again.
func (w *Writer) Write(p []byte) (int, error) {
	if w.secrets == nil {
		return w.to.Write(p)
	}
	if err := w.hand(p, false); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush hands on what was held back: nothing more comes. It can be called again
// after an error.
func (w *Writer) Flush() error {
	if w.secrets == nil {
		return nil
	}
	return w.hand(nil, true)
}

// hand masks p and what was held back before it. The state changes only when
// the result was written.
func (w *Writer) hand(p []byte, last bool) error {
	next := w.state.clone()
	if out := next.take(w.secrets, p, last); len(out) > 0 {
		if _, err := w.to.Write(out); err != nil {
			return err
		}
	}
	w.state = next
	return nil
}

// pending is what a masking knows of the text before: its last bytes, when they
// may begin a secret, and how many of them a secret that was found covers.
type pending struct {
	held    []byte
	covered int
}

func (p *pending) clone() pending { return pending{append([]byte(nil), p.held...), p.covered} }

// take gives what can be said of the held bytes and text, and keeps the rest,
// of which there is none when the text ends. Secrets that overlap are masked as
// one, so that no end of one is seen beside the other.
func (p *pending) take(s *Secrets, text []byte, last bool) []byte {
	all := append(p.held, text...)
	out := make([]byte, 0, len(all))
	i, end := 0, p.covered
	for ; i < len(all); i++ {
		n, open := s.at(all[i:])
		if open && !last {
			break
		}
		if n > 0 {
			if i >= end {
				out = append(out, Mask...)
			}
			end = max(end, i+n)
		}
		if i >= end {
			out = append(out, all[i])
		}
	}
	p.held = append([]byte(nil), all[i:]...)
	p.covered = max(0, end-i)
	return out
}

// at gives the length of the longest secret that text begins with, and whether
// text may be the beginning of a longer one.
func (s *Secrets) at(text []byte) (n int, open bool) {
	for _, spelling := range s.spellings[text[0]] {
		switch {
		case len(spelling) > len(text):
			open = open || spelling[:len(text)] == string(text)
		case spelling == string(text[:len(spelling)]):
			return len(spelling), open
		}
	}
	return 0, open
}
