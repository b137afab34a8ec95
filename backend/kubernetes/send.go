package kubernetes

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// sending is a program's file that is being sent. The pod can't tell why it misses a part.
type sending struct {
	unpacker int64  // bytes of what unpacks the program, which come first
	program  int64  // bytes of the program
	unpack   string // what unpacks it, where there is no unpacker
	from     io.Reader
	file     *os.File
	rest     int64
	short    atomic.Bool // the file has ended before that
}

// size is how many bytes are sent.
func (s *sending) size() int64 { return s.unpacker + s.program }

// Read implements io.Reader.
func (s *sending) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	s.rest -= int64(n)
	if errors.Is(err, io.EOF) && s.rest > 0 {
		s.short.Store(true)
	}
	return n, err
}

// Close implements io.Closer.
func (s *sending) Close() error { return s.file.Close() }

// written is the error of a program that has another content than it had.
func written(file string) error {
	return fmt.Errorf("%w: somebody has written to the program %s while it was being sent: put programs in place by renaming, and start the job again", azml.ErrConflict, file)
}

// send has a program sent by a function, which closes what it is given: packed, and behind a
// program that unpacks it where there is one for the pod's platform, or else if the image can
// unpack it. Errors: also ErrConflict when somebody writes to the file.
func (d *Driver) send(ctx context.Context, p program, by func(*sending) error) error {
	unpacker, err := d.unpacker(ctx, p.on)
	if err != nil {
		return err
	}
	if len(unpacker) > 0 {
		file, err := d.packed(p, ".zst", zstdWriter)
		if err != nil {
			return noFile(err)
		}
		return sendFile(file, unpacker, "", by)
	}
	file, err := d.packed(p, ".gz", gzipWriter)
	if err != nil {
		return noFile(err)
	}
	err = sendFile(file, nil, "gzip -dc", by)
	if errors.Is(err, azml.ErrFailed) && strings.Contains(err.Error(), "exit code "+noGzipCode+":") {
		return sendFile(p.file, nil, "cat", by)
	}
	return err
}

// unpacker gives the program that unpacks others in pods, none when there is none.
func (d *Driver) unpacker(ctx context.Context, on backend.Platform) ([]byte, error) {
	if d.opts.Unpacker == nil {
		return nil, nil
	}
	file, err := d.opts.Unpacker(ctx, on)
	switch {
	case errors.Is(err, azml.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	unpacker, err := os.ReadFile(file)
	if err != nil {
		return nil, noFile(err)
	}
	return unpacker, nil
}

// sendFile has a file sent behind an unpacker, or to be unpacked by a command.
func sendFile(file string, unpacker []byte, unpack string, by func(*sending) error) error {
	f, err := os.Open(file)
	if err != nil {
		return noFile(err)
	}
	info, err := f.Stat()
	if err != nil {
		return noFile(errors.Join(err, f.Close()))
	}
	s := &sending{unpacker: int64(len(unpacker)), program: info.Size(), unpack: unpack, from: io.MultiReader(bytes.NewReader(unpacker), f), file: f}
	s.rest = s.size()
	if err = by(s); err != nil && s.short.Load() {
		return written(file)
	}
	return err
}

// packed gives the file of a program as a writer packs it, made once. Its name ends so.
func (d *Driver) packed(p program, ending string, writer func(io.Writer) (io.WriteCloser, error)) (string, error) {
	file := filepath.Join(d.opts.CacheDir, "packed", p.digest+ending)
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	return file, write(file, func(w io.Writer) error {
		f, err := os.Open(p.file)
		if err != nil {
			return err
		}
		defer f.Close()
		z, err := writer(w)
		if err != nil {
			return err
		}
		content := sha256.New()
		_, err = io.Copy(io.MultiWriter(z, content), f)
		if err == nil && hex.EncodeToString(content.Sum(nil)) != p.digest { // by which others find it
			err = written(p.file)
		}
		return errors.Join(err, z.Close())
	})
}

func gzipWriter(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, gzip.BestSpeed) }

// window is how far back what zstd packs refers, which is what unpacking keeps in memory. A
// larger one makes programs half a percent smaller.
const window = 1 << 20

func zstdWriter(w io.Writer) (io.WriteCloser, error) {
	return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithWindowSize(window))
}
