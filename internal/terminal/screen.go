package terminal

import (
	"bytes"
	"io"
	"os"

	"golang.org/x/term"
)

// What a terminal is told. A terminal that does not know one leaves it out.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l" // alternate screen, no cursor, no wrapping
	leaveScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
	beginFrame  = "\x1b[?2026h\x1b[H" // nothing is shown until the frame is whole
	endFrame    = "\x1b[?2026l"
	clearLine   = "\x1b[K" // before the line: at a full line's end it would take the last column away
	clearRest   = "\x1b[J"
)

// Screen is a terminal that is redrawn in place, on its alternate screen:
// what was there before comes back with Close. It is used by one goroutine.
type Screen struct {
	out   io.Writer
	size  func() (width, height int, err error)
	shown []byte
}

// IsTerminal tells whether a person is at the other end of the stream.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// OpenScreen takes the terminal over until Close.
func OpenScreen(out *os.File) (*Screen, error) {
	s := &Screen{out: out, size: func() (int, int, error) { return term.GetSize(int(out.Fd())) }}
	_, err := io.WriteString(out, enterScreen)
	return s, err
}

// Size gives the size in characters as it is now, so that whoever draws again
// and again follows it; 80 × 24 when it can't be found out.
func (s *Screen) Size() (width, height int) {
	width, height, err := s.size()
	if err != nil || width < 1 || height < 1 {
		return 80, 24
	}
	return width, height
}

// Draw shows the lines and nothing else, in one write, and none when they are
// shown already. Lines that are too long or too many are cut off by the
// terminal's edge.
func (s *Screen) Draw(lines []string) error {
	width, height := s.Size()
	var frame bytes.Buffer
	frame.WriteString(beginFrame)
	lines = lines[:min(len(lines), height)]
	for i, line := range lines {
		frame.WriteString(clearLine + line)
		if i+1 < height {
			frame.WriteString("\r\n")
		}
	}
	if len(lines) < height {
		frame.WriteString(clearRest)
	}
	frame.WriteString(endFrame)
	// After a change of size the terminal may have moved what is there.
	key := append(frame.Bytes(), byte(width), byte(width>>8), byte(height), byte(height>>8))
	if bytes.Equal(key, s.shown) {
		return nil
	}
	s.shown = key
	_, err := s.out.Write(key[:len(key)-4])
	return err
}

// Close gives the terminal back as it was.
func (s *Screen) Close() error {
	_, err := io.WriteString(s.out, leaveScreen)
	return err
}
