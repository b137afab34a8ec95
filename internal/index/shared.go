package index

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"

	"github.com/klauspost/compress/zstd"
	"github.com/ncruces/go-sqlite3"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/history"
)

// The shared index is an object of the workspace with what some machine has
// indexed of items that are settled, so that another one need not read them one by
// one. An item of it counts as long as the ETags of its objects are those that it
// was made of, so it may be old, or gone, or of anybody.

const (
	// sharedKey is the key of the shared index of this layout.
	sharedKey   = "index/" + layoutVersion + ".search"
	sharedMagic = "azmlsix1"
	// A machine shares what it has indexed when it has read as many items as
	// sharedLeast, and one in sharedPart of all, that the shared index lacked.
	sharedLeast = 200
	sharedPart  = 8
	// maxSharedText bounds what one item takes.
	maxSharedText = 256 << 20
)

// errShared says that a shared index is not what share has written.
var errShared = errors.New("the shared search index is damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// borrow fills an empty index with what the shared one has. It is worth it where
// reading takes requests. A shared index that can't be read is passed over.
func (u *updater) borrow(ctx context.Context) error {
	if u.h.Dir() != "" {
		return nil
	}
	data, info, err := u.h.Read(ctx, sharedKey)
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, azml.ErrNotFound) {
			u.h.Logger().Debug("the shared search index can't be read", "error", err)
		}
		return ctx.Err()
	}
	spooled, err := u.spooled()
	if err != nil {
		return err
	}
	var changes []*change
	put := func() error {
		err := u.write(changes)
		changes = nil
		return err
	}
	err = eachShared(data, func(key string, s *state) error {
		k, record, p := classify(key)
		if p != recordPart || record != key || spooled[key] {
			return nil
		}
		sums, err := decodeSummaries(s.summaries)
		if err == nil {
			s.values, err = k.read(key, s.record, sums)
		}
		if err != nil || s.values == nil {
			return nil //nolint:nilerr // it is read itself
		}
		changes = append(changes, &change{kind: k, key: key, now: s})
		if len(changes) < batchSize {
			return nil
		}
		return put()
	})
	if errors.Is(err, errShared) {
		u.h.Logger().Warn("the shared search index is not used: the next one to be written replaces it", "key", sharedKey, "error", err)
		err = nil
	}
	err = errors.Join(err, put())
	u.settled = 0
	return errors.Join(err, u.c.within(func() error { return u.c.setMeta(metaShared, string(info.ETag)) }))
}

// spooled gives the keys of the runs of which this machine has points that may be
// in no object.
func (u *updater) spooled() (map[string]bool, error) {
	runs, err := history.SpooledRuns(u.h)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStore, err)
	}
	keys := map[string]bool{}
	for _, run := range runs {
		keys[history.Ref(run.ID).Key] = true
	}
	return keys, nil
}

// lend shares the index when it has much that the shared one lacks. Whoever may
// only read goes on without.
func (u *updater) lend(ctx context.Context) error {
	if u.h.Dir() != "" {
		return nil
	}
	unshared, err := u.unshared()
	if err != nil || unshared < sharedLeast {
		return err
	}
	var total int64
	count := func(s *sqlite3.Stmt) error { total = s.ColumnInt64(0); return nil }
	if err := u.c.rows(count, `SELECT count(*) FROM item`); err != nil || unshared*sharedPart < total {
		return err
	}
	before, err := u.c.meta(metaShared)
	if err != nil {
		return err
	}
	data, err := u.shared()
	if err != nil {
		return err
	}
	opts := &backend.PutOptions{IfMatch: backend.ETag(before), IfNoneMatch: before == ""}
	info, err := u.h.Objects().Put(ctx, sharedKey, bytes.NewReader(data), opts)
	if errors.Is(err, azml.ErrExists) || errors.Is(err, azml.ErrConflict) { // another machine was faster
		info, err = u.h.Objects().Stat(ctx, sharedKey)
	}
	if err != nil {
		u.h.Logger().Debug("the search index can't be shared", "error", err)
		return ctx.Err()
	}
	return u.c.within(func() error {
		return errors.Join(u.c.setMeta(metaShared, string(info.ETag)), u.c.setMeta(metaUnshared, "0"))
	})
}

// unshared gives how many items were read since the index was shared.
func (u *updater) unshared() (int64, error) {
	text, err := u.c.meta(metaUnshared)
	if err != nil || text == "" {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %s: %w", errDecode, metaUnshared, err)
	}
	return n, nil
}

// shared gives the shared index of all settled items.
func (u *updater) shared() ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(sharedMagic)
	w, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	var b []byte
	err = u.c.rows(func(s *sqlite3.Stmt) error {
		b = appendText(b[:0], s.ColumnText(0))
		for i := 1; i < 5; i++ {
			b = append(binary.AppendUvarint(b, uint64(len(s.ColumnRawBlob(i)))), s.ColumnRawBlob(i)...)
		}
		_, err := w.Write(b)
		return err
	}, `SELECT key, etag, mark, record, summaries FROM item JOIN doc ON item = n WHERE kind > 0 AND live = 0 ORDER BY key`)
	if err == nil {
		_, err = w.Write([]byte{0}) // no key
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return binary.LittleEndian.AppendUint32(out.Bytes(), crc32.Checksum(out.Bytes(), castagnoli)), nil
}

// eachShared gives the items of a shared index. Errors: errShared, those of give.
func eachShared(data []byte, give func(key string, s *state) error) error {
	const tail = 4
	body := len(data) - tail
	if body < len(sharedMagic) || string(data[:len(sharedMagic)]) != sharedMagic ||
		crc32.Checksum(data[:body], castagnoli) != binary.LittleEndian.Uint32(data[body:]) {
		return errShared
	}
	unpacked, err := zstd.NewReader(bytes.NewReader(data[len(sharedMagic):body]), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		return fmt.Errorf("%w: %w", errShared, err)
	}
	defer unpacked.Close()
	in := bufio.NewReader(unpacked)
	for {
		key, err := sharedText(in)
		if err != nil || len(key) == 0 {
			return err
		}
		var parts [4][]byte
		for i := range parts {
			if parts[i], err = sharedText(in); err != nil {
				return err
			}
		}
		if err := give(string(key), &state{etag: string(parts[0]), mark: string(parts[1]), record: parts[2], summaries: parts[3]}); err != nil {
			return err
		}
	}
}

func sharedText(in *bufio.Reader) ([]byte, error) {
	n, err := binary.ReadUvarint(in)
	if err == nil && n > maxSharedText {
		err = fmt.Errorf("a text of %d bytes", n)
	}
	var text bytes.Buffer
	if err == nil {
		_, err = io.CopyN(&text, in, int64(n)) // grows with what is there
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errShared, err)
	}
	return text.Bytes(), nil
}
