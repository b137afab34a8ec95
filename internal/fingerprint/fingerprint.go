// Package fingerprint notes which files there are, so that what has changed later
// can be told: a compact list in order of names, of which a million take some ten
// megabytes and a second.
package fingerprint

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/klauspost/compress/zstd"

	"github.com/azml-go/azml"
)

// magic begins a list.
const magic = "azmlfpr1"

// maxName bounds the bytes of a name.
const maxName = 16 << 10

// Entry is what is noted of a file.
type Entry struct {
	// Name is the file's name, unique in its list.
	Name string
	// Size is the number of bytes.
	Size int64
	// Mark changes with the content: a hash of the store's ETag, or of the time
	// where there is none.
	Mark uint64
	// Digest is the SHA-256 of the content, empty when it was not read.
	Digest []byte
}

// MarkOf gives the mark of a text that changes with a file's content.
func MarkOf(text string) uint64 {
	sum := sha256.Sum256([]byte(text))
	return binary.LittleEndian.Uint64(sum[:])
}

// Encode gives the list of the entries, which must be in byte order of their
// names, and the digest of what is in it, in hexadecimal.
func Encode(entries iter.Seq[Entry]) (data []byte, digest string, err error) {
	var out bytes.Buffer
	out.WriteString(magic)
	w, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, "", err
	}
	sum := sha256.New()
	buf := make([]byte, 0, 64<<10)
	flush := func() {
		sum.Write(buf)
		_, writeErr := w.Write(buf)
		err, buf = errors.Join(err, writeErr), buf[:0]
	}
	before, count := "", uint64(0)
	for e := range entries {
		count++
		shared := sharedPrefix(before, e.Name)
		buf = binary.AppendUvarint(buf, uint64(shared))
		buf = binary.AppendUvarint(buf, uint64(len(e.Name)-shared))
		buf = append(buf, e.Name[shared:]...)
		buf = binary.AppendUvarint(buf, uint64(e.Size)) //nolint:gosec // sizes are not negative
		buf = binary.LittleEndian.AppendUint64(buf, e.Mark)
		buf = append(append(buf, byte(len(e.Digest))), e.Digest...)
		if before = e.Name; len(buf) > 32<<10 {
			flush()
		}
	}
	buf = binary.AppendUvarint(append(buf, 0, 0), count) // no file has an empty name
	flush()
	err = errors.Join(err, w.Close())
	return out.Bytes(), hex.EncodeToString(sum.Sum(nil)), err
}

func sharedPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// Decode yields the entries of a list. Errors: ErrDamaged.
func Decode(r io.Reader) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		stopped := false
		err := decode(r, func(e Entry) bool {
			stopped = !yield(e, nil)
			return !stopped
		})
		if err != nil && !stopped {
			yield(Entry{}, fmt.Errorf("%w: the list of files: %w", azml.ErrDamaged, err))
		}
	}
}

// byteReader is what varints are read from.
type byteReader interface {
	io.Reader
	io.ByteReader
}

func decode(r io.Reader, give func(Entry) bool) error {
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(r, head); err != nil || string(head) != magic {
		return fmt.Errorf("it does not begin with %q", magic)
	}
	unpacked, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		return err
	}
	defer unpacked.Close()
	in := bufio.NewReaderSize(unpacked, 64<<10)
	var name []byte
	for count := uint64(0); ; count++ {
		e, next, err := decodeEntry(in, name)
		switch {
		case err != nil:
			return cut(err)
		case len(next) == 0:
			n, err := binary.ReadUvarint(in)
			if err == nil && n != count {
				err = fmt.Errorf("it has %d files instead of %d", count, n)
			}
			return cut(err)
		case e.Name <= string(name):
			return errors.New("its names are not in order")
		}
		if name = next; !give(e) {
			return nil
		}
	}
}

// decodeEntry reads the entry behind one of the name before. At the end of the list
// it has no name.
func decodeEntry(in byteReader, before []byte) (e Entry, name []byte, err error) {
	shared, err := binary.ReadUvarint(in)
	if err != nil {
		return e, nil, err
	}
	more, err := binary.ReadUvarint(in)
	switch {
	case err != nil:
		return e, nil, cut(err)
	case shared > uint64(len(before)) || more > maxName || shared+more > maxName:
		return e, nil, errors.New("a name is too long")
	}
	if shared+more == 0 {
		return e, nil, nil
	}
	name = append(bytes.Clone(before[:shared]), make([]byte, more)...)
	if _, err := io.ReadFull(in, name[shared:]); err != nil {
		return e, nil, cut(err)
	}
	size, err := binary.ReadUvarint(in)
	if err != nil {
		return e, nil, cut(err)
	}
	var rest [9]byte
	if _, err := io.ReadFull(in, rest[:]); err != nil {
		return e, nil, cut(err)
	}
	e = Entry{Name: string(name), Size: int64(size), Mark: binary.LittleEndian.Uint64(rest[:])} //nolint:gosec // it was an int64
	if n := int(rest[8]); n > 0 {
		e.Digest = make([]byte, n)
		if _, err := io.ReadFull(in, e.Digest); err != nil {
			return e, nil, cut(err)
		}
	}
	return e, name, nil
}

// cut makes an end within an entry an error.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
