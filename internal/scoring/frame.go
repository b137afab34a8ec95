package scoring

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A frame carries one message between this process and a worker, each way:
// four bytes of mark, the head's and the body's length as big-endian 32-bit
// numbers, the head (JSON), the body (any bytes).
const (
	frameMark     = 0x617a6631 // "azf1"
	frameHeader   = 12
	maxFrameHead  = 16 << 20
	maxFrameBody  = 1 << 30
	joinFrameBody = 64 << 10 // up to this a frame is written by one write
	growFrame     = 1 << 20
)

var errFrame = errors.New("not a frame of the worker's protocol")

// writeFrame writes one frame. The number of bytes that were written tells
// whether the other side can have seen any of it.
func writeFrame(w io.Writer, head, body []byte) (int, error) {
	if len(head) > maxFrameHead || len(body) > maxFrameBody {
		return 0, fmt.Errorf("%w: head of %d and body of %d bytes", errFrame, len(head), len(body))
	}
	buf := make([]byte, frameHeader, frameHeader+len(head)+min(len(body), joinFrameBody))
	binary.BigEndian.PutUint32(buf, frameMark)
	binary.BigEndian.PutUint32(buf[4:], uint32(len(head)))
	binary.BigEndian.PutUint32(buf[8:], uint32(len(body)))
	buf = append(buf, head...)
	if len(body) <= joinFrameBody {
		return w.Write(append(buf, body...))
	}
	n, err := w.Write(buf)
	if err != nil {
		return n, err
	}
	m, err := w.Write(body)
	return n + m, err
}

// readFrame reads one frame. It gives io.EOF only before the first byte. What
// it allocates is bounded by what really arrives, not by what a length claims.
func readFrame(r *bufio.Reader) (head, body []byte, err error) {
	var fixed [frameHeader]byte
	if _, err := io.ReadFull(r, fixed[:]); err != nil {
		return nil, nil, err
	}
	mark := binary.BigEndian.Uint32(fixed[:])
	headLen := int(binary.BigEndian.Uint32(fixed[4:]))
	bodyLen := int(binary.BigEndian.Uint32(fixed[8:]))
	if mark != frameMark || headLen > maxFrameHead || bodyLen > maxFrameBody {
		return nil, nil, fmt.Errorf("%w: %x", errFrame, fixed)
	}
	if head, err = readExactly(r, headLen); err != nil {
		return nil, nil, err
	}
	body, err = readExactly(r, bodyLen)
	return head, body, err
}

func readExactly(r io.Reader, n int) ([]byte, error) {
	buf := make([]byte, min(n, growFrame))
	read := 0
	for {
		m, err := io.ReadFull(r, buf[read:])
		read += m
		if err == io.EOF && n > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil || read == n {
			return buf, err
		}
		grown := make([]byte, min(n, 2*len(buf)))
		copy(grown, buf)
		buf = grown
	}
}
