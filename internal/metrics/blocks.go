package metrics

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/record"
)

const (
	// blockSize is the length of what one checksum of a sealed object covers.
	blockSize = 64 << 10
	// readAhead is how much of a Parquet object is read at once, at least; of a
	// digest it is a block.
	readAhead = 4 * blockSize
)

// blockSums takes the checksums of the blocks of what is written to it.
type blockSums struct {
	size int64
	sums []byte
	crc  uint32 // of the block that has begun
}

// Write is for io.Writer and never fails.
func (s *blockSums) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		part := p[:min(len(p), blockSize-int(s.size%blockSize))]
		s.crc = crc32.Update(s.crc, castagnoli, part)
		s.size += int64(len(part))
		p = p[len(part):]
		if s.size%blockSize == 0 {
			s.end()
		}
	}
	return n, nil
}

func (s *blockSums) end() {
	s.sums = binary.LittleEndian.AppendUint32(s.sums, s.crc)
	s.crc = 0
}

// object describes what was written, under the name.
func (s *blockSums) object(name string) record.SealedObject {
	if s.size%blockSize > 0 {
		s.end()
	}
	return record.SealedObject{Name: name, Size: s.size, Sums: s.sums}
}

// checkedObject reads a sealed object. It gives no byte whose block fails its
// checksum, so what decodes them never sees damage. It keeps the bytes around
// the last read. Not safe for concurrent use.
type checkedObject struct {
	ctx     context.Context //nolint:containedctx // io.ReaderAt has none; it lives for one read
	objects backend.Objects
	key     string
	stored  record.SealedObject
	ahead   int64 // how much is read at once, at least
	start   int64 // where held begins
	held    []byte
	err     error // the first failure: decoders may wrap or drop it
}

// ReadAt is for io.ReaderAt. Errors: ErrDamaged, naming key and offset; those of
// the store.
func (o *checkedObject) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > o.stored.Size {
		return 0, fmt.Errorf("%w: %s has no offset %d", azml.ErrDamaged, o.key, off)
	}
	n := int(min(int64(len(p)), o.stored.Size-off))
	if off < o.start || off+int64(n) > o.start+int64(len(o.held)) {
		if err := o.load(off, n); err != nil {
			if o.err == nil {
				o.err = err
			}
			return 0, err
		}
	}
	copy(p[:n], o.held[off-o.start:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// load reads and checks the blocks that hold the range, and some more.
func (o *checkedObject) load(off int64, n int) error {
	start := off / blockSize * blockSize
	end := min(o.stored.Size, (max(off+int64(n), start+o.ahead)+blockSize-1)/blockSize*blockSize)
	o.start, o.held = start, nil
	if start >= end {
		return nil
	}
	held, err := o.get(start, int(end-start))
	if err != nil {
		return err
	}
	for at := 0; at < len(held); at += blockSize {
		block, sum := held[at:min(at+blockSize, len(held))], int(start+int64(at))/blockSize*4
		if sum+4 > len(o.stored.Sums) || crc32.Checksum(block, castagnoli) != binary.LittleEndian.Uint32(o.stored.Sums[sum:]) {
			return damagedAt(o.key, start+int64(at), errChecksum)
		}
	}
	o.held = held
	return nil
}

func (o *checkedObject) get(off int64, n int) ([]byte, error) {
	obj, err := o.objects.Get(o.ctx, o.key, &backend.GetOptions{Offset: off, Length: int64(n)})
	if errors.Is(err, azml.ErrInvalid) {
		return nil, damagedAt(o.key, off, errors.New("the object is too short"))
	}
	if err != nil {
		return nil, fmt.Errorf("read metrics %s: %w", o.key, err)
	}
	defer obj.Body.Close()
	if obj.Info.Size != o.stored.Size {
		return nil, damagedAt(o.key, off, fmt.Errorf("the object has %d bytes, not %d", obj.Info.Size, o.stored.Size))
	}
	held := make([]byte, n)
	if _, err := io.ReadFull(obj.Body, held); err != nil {
		return nil, fmt.Errorf("%w: read metrics %s: %w", azml.ErrUnavailable, o.key, err)
	}
	return held, nil
}

// guard runs a decoder on the object. Whatever it makes of bytes that passed
// their checksum and make no sense all the same is damage, a panic too.
func (o *checkedObject) guard(decode func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = damagedAt(o.key, 0, fmt.Errorf("it can't be decoded: %v", p))
		}
	}()
	err = decode()
	switch {
	case o.err != nil:
		return o.err
	case err != nil && !errors.Is(err, azml.ErrDamaged):
		return damagedAt(o.key, 0, err)
	}
	return err
}
