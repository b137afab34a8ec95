package parquetfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"

	"github.com/azml-go/azml"
)

// unpacker fills dst with what src unpacks to. What unpacks to less or more is an
// error, and no more than the length of dst is ever unpacked.
type unpacker func(dst, src []byte) error

var errSize = errors.New("it unpacks to another size than it says")

// unpackers are those of one file, which columns share.
type unpackers struct {
	zstd func() (*zstd.Decoder, error)
}

func newUnpackers() *unpackers {
	return &unpackers{sync.OnceValues(func() (*zstd.Decoder, error) {
		return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecodeAllCapLimit(true))
	})}
}

// of gives the one for a codec, nil when there is nothing to do. Errors:
// ErrUnsupported.
func (u *unpackers) of(codec format.CompressionCodec) (unpacker, error) {
	switch codec {
	case format.Uncompressed:
		return nil, nil
	case format.Snappy:
		return unpackSnappy, nil
	case format.Zstd:
		return u.unpackZstd, nil
	case format.Gzip:
		return unpackGzip, nil
	case format.Brotli:
		return func(dst, src []byte) error { return fill(dst, brotli.NewReader(bytes.NewReader(src))) }, nil
	case format.Lz4Raw:
		return unpackLZ4, nil
	}
	return nil, fmt.Errorf("%w: it is compressed by %s: write it with zstd or snappy", azml.ErrUnsupported, codec)
}

func unpackSnappy(dst, src []byte) error {
	if n, err := snappy.DecodedLen(src); err != nil || n != len(dst) {
		return errors.Join(errSize, err)
	}
	_, err := snappy.Decode(dst, src)
	return err
}

func unpackLZ4(dst, src []byte) error {
	n, err := lz4.UncompressBlock(src, dst)
	if err == nil && n != len(dst) {
		err = errSize
	}
	return err
}

func (u *unpackers) unpackZstd(dst, src []byte) error {
	d, err := u.zstd()
	if err != nil {
		return err
	}
	out, err := d.DecodeAll(src, dst[:0:len(dst)])
	if err == nil && len(out) != len(dst) {
		err = errSize
	}
	return err
}

func unpackGzip(dst, src []byte) error {
	r, err := gzip.NewReader(bytes.NewReader(src))
	if err != nil {
		return err
	}
	return fill(dst, r)
}

// fill reads exactly as much as there is room for.
func fill(dst []byte, r io.Reader) error {
	if _, err := io.ReadFull(r, dst); err != nil {
		return errors.Join(errSize, err)
	}
	if _, err := io.ReadFull(r, make([]byte, 1)); !errors.Is(err, io.EOF) {
		return errors.Join(errSize, err)
	}
	return nil
}
