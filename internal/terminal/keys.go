package terminal

import (
	"errors"
	"os"

	"github.com/muesli/cancelreader"
	"golang.org/x/term"
)

// CtrlC is what Keys gives for Ctrl-C, which is no signal while they are read.
const CtrlC = 3

// Keys reads single keys from a terminal, without showing them. Until Close,
// the terminal makes no signals of keys and line ends are "\r\n".
type Keys struct {
	in     *os.File
	before *term.State
	reader cancelreader.CancelReader
	pushed chan byte
	ended  chan struct{} // closed by Close
	done   chan struct{} // closed when read has returned
}

// OpenKeys begins to read keys.
func OpenKeys(in *os.File) (*Keys, error) {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, err
	}
	k := &Keys{in: in, before: before, pushed: make(chan byte), ended: make(chan struct{}), done: make(chan struct{})}
	if k.reader, err = cancelreader.NewReader(in); err != nil {
		return nil, errors.Join(err, term.Restore(int(in.Fd()), before))
	}
	go k.read()
	return k, nil
}

// Pushed gives the keys' bytes as they come. A key that nobody waits for
// within the next one is lost with Close.
func (k *Keys) Pushed() <-chan byte { return k.pushed }

func (k *Keys) read() {
	defer close(k.done)
	buffer := make([]byte, 64)
	for {
		n, err := k.reader.Read(buffer)
		for _, b := range buffer[:n] {
			select {
			case k.pushed <- b:
			case <-k.ended:
				return
			}
		}
		if err != nil {
			return // canceled, or the terminal is gone and its window's signal comes
		}
	}
}

// Close gives the terminal back as it was.
func (k *Keys) Close() error {
	close(k.ended)
	if k.reader.Cancel() {
		<-k.done
	}
	return errors.Join(k.reader.Close(), term.Restore(int(k.in.Fd()), k.before))
}
